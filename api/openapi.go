// Package api holds the description of the HTTP interface; the Go code of the protobuf files is in aftertouch/v1.
package api

import _ "embed" // for OpenAPI

// OpenAPI is the description of the HTTP interface, served as /openapi.json. It is generated from the protobuf files.
//
//go:embed aftertouch/v1/openapi.swagger.json
var OpenAPI []byte
