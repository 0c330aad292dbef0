package store

import (
	"github.com/prometheus/client_golang/prometheus"
)

// metrics count what is written.
type metrics struct {
	rows     *prometheus.CounterVec
	errors   *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		rows: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "aftertouch_store_rows_total", Help: "Rows that ClickHouse acknowledged, by table.",
		}, []string{"table"}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "aftertouch_store_errors_total", Help: "Inserts that failed, by table; kind is retryable or permanent.",
		}, []string{"table", "kind"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "aftertouch_store_insert_duration_seconds", Help: "Time that ClickHouse took to acknowledge an insert, by table.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 14),
		}, []string{"table"}),
	}
	if reg != nil {
		reg.MustRegister(m.rows, m.errors, m.duration)
	}
	return m
}
