package query

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	in, out  *prometheus.CounterVec
	rejected *prometheus.CounterVec
	duration *prometheus.HistogramVec
	// unbalanced must stay 0: reports whose credit was not the attributed conversions.
	unbalanced prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		in: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "aftertouch_query_in_total", Help: "Reports asked for.",
		}, []string{"report"}),
		out: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "aftertouch_query_out_total", Help: "Reports answered.",
		}, []string{"report"}),
		rejected: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "aftertouch_query_rejected_total", Help: "Reports refused or failed, by reason.",
		}, []string{"report", "reason"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "aftertouch_query_duration_seconds", Help: "Time of a report from request to answer.",
			Buckets: []float64{.005, .01, .025, .05, .1, .15, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}, []string{"report"}),
	}
	m.unbalanced = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "aftertouch_query_unbalanced_total", Help: "Reports whose credit was not exactly the attributed conversions.",
	})
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.in, m.out, m.rejected, m.duration, m.unbalanced} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("registering query metrics: %w", err)
		}
	}
	return m, nil
}

// done counts a report that ended. reason is ok, or of a bounded set: reasons of DESIGN and words of gRPC's codes.
func (m *metrics) done(name, reason string, took time.Duration) {
	m.in.WithLabelValues(name).Inc()
	m.duration.WithLabelValues(name).Observe(took.Seconds())
	if reason == "ok" {
		m.out.WithLabelValues(name).Inc()
		return
	}
	m.rejected.WithLabelValues(name, reason).Inc()
}
