// Package api holds the description of the HTTP interface; the Go code of the protobuf files is in aftertouch/v1.
package api

import (
	_ "embed" // for the two parts of the description
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// generated is made from the protobuf files. edge is written by hand: what no gRPC method stands behind, keys and errors.
var (
	//go:embed aftertouch/v1/openapi.swagger.json
	generated []byte
	//go:embed edge.swagger.json
	edge []byte
)

// object is an object of the description.
type object = map[string]any

// OpenAPI returns the description of the HTTP interface, OpenAPI 2.0, that is served as /openapi.json.
func OpenAPI() ([]byte, error) {
	var whole, more object
	for _, part := range []struct {
		text []byte
		into *object
	}{{generated, &whole}, {edge, &more}} {
		if err := json.Unmarshal(part.text, part.into); err != nil {
			return nil, fmt.Errorf("reading the description of the interface: %w", err)
		}
	}
	whole["paths"] = mergePaths(whole["paths"].(object))
	dropRPCErrors(whole)
	overlay(whole, more)
	return json.MarshalIndent(whole, "", " ")
}

// overlay lays more over base: objects are merged, everything else is replaced.
func overlay(base, more object) {
	for name, value := range more {
		below, isObject := base[name].(object)
		if above, ok := value.(object); ok && isObject {
			overlay(below, above)
		} else {
			base[name] = value
		}
	}
}

var pathParameter = regexp.MustCompile(`\{[^}]*\}`)

// mergePaths puts methods together whose paths differ only in the name of the parameter, which no description may have: of
// "{creator_id}" and "{id}" the more telling one stays.
func mergePaths(paths object) object {
	byShape := map[string]string{}
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		shape := pathParameter.ReplaceAllString(path, "{}")
		if known, ok := byShape[shape]; !ok || strings.HasSuffix(known, "/{id}") {
			byShape[shape] = path
		}
	}
	merged := object{}
	for path, methods := range paths {
		into := byShape[pathParameter.ReplaceAllString(path, "{}")]
		if merged[into] == nil {
			merged[into] = object{}
		}
		for method, operation := range methods.(object) {
			merged[into].(object)[method] = operation
			renameParameter(operation.(object), strings.Trim(pathParameter.FindString(into), "{}"))
		}
	}
	return merged
}

func renameParameter(operation object, name string) {
	list, _ := operation["parameters"].([]any)
	for _, p := range list {
		if p := p.(object); p["in"] == "path" {
			p["name"] = name
		}
	}
}

// dropRPCErrors replaces the generator's form of errors by the one that is served.
func dropRPCErrors(whole object) {
	for _, methods := range whole["paths"].(object) {
		for _, operation := range methods.(object) {
			operation.(object)["responses"].(object)["default"] = object{"$ref": "#/responses/error"}
		}
	}
	for _, unused := range []string{"googleRpcStatus", "protobufAny"} {
		delete(whole["definitions"].(object), unused)
	}
}
