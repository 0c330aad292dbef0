package collector

import (
	"fmt"
	"time"

	"github.com/aftertouch-io/aftertouch/services/collector/spool"
	"github.com/prometheus/client_golang/prometheus"
)

// transport is how events came; its words are labels and part of refusal counts.
type transport string

const (
	overGRPC     transport = "grpc"
	overStream   transport = "stream"
	overHTTP     transport = "http"
	overPixel    transport = "pixel"
	overPostback transport = "postback"
	overRedirect transport = "redirect"
)

var transports = []transport{overGRPC, overStream, overHTTP, overPixel, overPostback, overRedirect}

// Reasons that are no refusals: the same event may be sent again. They are counted with the refusals.
const (
	reasonUnavailable = "unavailable"
	reasonOverBudget  = "over_budget"
	reasonRateLimited = "rate_limited"
	reasonNotReady    = "not_ready"
	reasonDraining    = "draining"
	reasonInterrupted = "interrupted"
)

type metrics struct {
	in, out   map[transport]prometheus.Counter
	duration  map[transport]prometheus.Observer
	rejected  *prometheus.CounterVec
	flagged   *prometheus.CounterVec
	unknown   prometheus.Counter
	scrubbed  prometheus.Counter
	spooled   prometheus.Counter
	delivered prometheus.Counter
	lost      prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, store *spool.Spool, clock func() time.Time) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	vector := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	in := vector("aftertouch_collector_in_events_total", "Events that arrived, before validation.", "transport")
	out := vector("aftertouch_collector_out_events_total", "Events that are durable: acknowledged by the brokers or spooled.", "transport")
	duration := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "aftertouch_collector_duration_seconds", Help: "Time from a batch's arrival to its answer.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	}, []string{"transport"})
	m := &metrics{
		in: map[transport]prometheus.Counter{}, out: map[transport]prometheus.Counter{}, duration: map[transport]prometheus.Observer{},
		rejected:  vector("aftertouch_collector_rejected_events_total", "Events that were not taken, by reason.", "transport", "reason"),
		flagged:   vector("aftertouch_collector_flagged_events_total", "Events that were taken with a flag.", "flag"),
		unknown:   counter("aftertouch_collector_unknown_fields_total", "Fields of JSON events that were ignored because no such field exists."),
		scrubbed:  counter("aftertouch_collector_scrubbed_values_total", "E-mail addresses removed from addresses of pages and from properties."),
		spooled:   counter("aftertouch_collector_spooled_records_total", "Records that went to the spool because the brokers did not answer."),
		delivered: counter("aftertouch_collector_spool_delivered_records_total", "Spooled records that the brokers acknowledged since; a crash may repeat some."),
		lost:      counter("aftertouch_collector_lost_events_total", "Pixels and redirects that were served although their event could not be kept."),
	}
	collectors := []prometheus.Collector{in, out, duration, m.rejected, m.flagged, m.unknown, m.scrubbed, m.spooled, m.delivered, m.lost}
	if store != nil {
		collectors = append(collectors,
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "aftertouch_collector_spool_bytes", Help: "Bytes in the spool."},
				func() float64 { return float64(store.Bytes()) }),
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "aftertouch_collector_lag_seconds", Help: "Age of the oldest event in the spool."},
				func() float64 { return store.Age(clock()).Seconds() }))
	}
	for _, c := range collectors {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("registering collector metrics: %w", err)
		}
	}
	for _, t := range transports {
		m.in[t], m.out[t], m.duration[t] = in.WithLabelValues(string(t)), out.WithLabelValues(string(t)), duration.WithLabelValues(string(t))
	}
	return m, nil
}
