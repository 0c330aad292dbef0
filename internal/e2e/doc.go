// Package e2e tests the built binary from outside: its processes, its ports and the figures in its reports. It has no code of
// its own.
package e2e
