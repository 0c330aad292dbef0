package telemetry

import (
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Build names the binary: what it was built from, and how.
type Build struct {
	// Version is the release, such as v0.2.0, or the description that git gives of the commit.
	Version string
	// Commit is the full hash of the commit; empty when unknown.
	Commit string
	// Date is the commit's time, RFC 3339; empty when unknown.
	Date string
}

// NewRegistry returns a metrics registry that holds the Go runtime's, the process's and the build's metrics.
func NewRegistry(b Build) *prometheus.Registry {
	registry := prometheus.NewRegistry()
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "aftertouch_build_info",
		Help:        "Always 1; the labels name the binary.",
		ConstLabels: prometheus.Labels{"version": b.Version, "commit": b.Commit, "go_version": runtime.Version()},
	})
	info.Set(1)
	registry.MustRegister(info, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}
