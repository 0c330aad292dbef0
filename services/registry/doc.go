// Package registry serves RegistryService: what is agreed, created, changed, read and listed over gRPC, and over JSON through
// the gateway (D9).
//
// Every call needs a secret key, and works in that key's workspace. Errors bear a machine-readable reason as
// google.rpc.ErrorInfo, and google.rpc.BadRequest with the fields when the request is wrong.
package registry
