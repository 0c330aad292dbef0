// Package telemetry makes what a process says about itself: its logger, its metrics registry, and the metrics of its HTTP
// and gRPC servers. Everything is made here once and passed on; nothing is global.
package telemetry
