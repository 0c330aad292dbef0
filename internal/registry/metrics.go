package registry

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

type viewMetrics struct{ applied, ignored, errors prometheus.Counter }

func newViewMetrics(reg prometheus.Registerer, v *View) (*viewMetrics, error) {
	m := &viewMetrics{
		applied: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "aftertouch_registry_records_total", Help: "Records of the registry topic read.",
		}),
		ignored: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "aftertouch_registry_ignored_records_total", Help: "Records that are not valid given the ones before, such as the second of one version.",
		}),
		errors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "aftertouch_registry_read_errors_total", Help: "Reads of the registry topic that failed and were tried again.",
		}),
	}
	offset := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "aftertouch_registry_offset", Help: "Offset of the first record of the registry topic that is not applied.",
	}, func() float64 { return float64(v.Offset()) })
	for _, c := range []prometheus.Collector{m.applied, m.ignored, m.errors, offset} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("registering metrics of the registry: %w", err)
		}
	}
	return m, nil
}
