package attributor

import (
	"errors"
	"strconv"
	"time"

	"github.com/aftertouch-io/aftertouch/internal/attribution"
	"github.com/prometheus/client_golang/prometheus"
)

// Stages, as labels.
const (
	stageRegistry   = "wait_registry"
	stageApply      = "apply"
	stageDeadLetter = "dead_letter"
	stageProduce    = "produce"
	stageInsert     = "insert"
	stageCommit     = "commit"
	stageOffset     = "commit_offset"
	stageDerive     = "derive"
)

type metrics struct {
	in, inBytes, duplicates *prometheus.CounterVec
	out                     *prometheus.CounterVec
	rejected, errors        *prometheus.CounterVec
	restores, failures      *prometheus.CounterVec
	fenced                  prometheus.Counter
	stageSeconds            *prometheus.HistogramVec
	batchSeconds            prometheus.Histogram
	batchRecords            prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer, s *statuses) (*metrics, error) {
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "aftertouch_attributor_" + name, Help: help}, labels)
	}
	seconds := prometheus.ExponentialBuckets(0.001, 2, 16)
	m := &metrics{
		in:         vec("in_records_total", "Records read and committed, dead letters among them.", "partition"),
		inBytes:    vec("in_bytes_total", "Bytes of their keys and values.", "partition"),
		duplicates: vec("duplicates_total", "Records whose event was known.", "partition"),
		out:        vec("out_total", "What records made: rows by table, and messages to other entities.", "partition", "kind"),
		rejected:   vec("rejected_records_total", "Records that went to the dead letters.", "reason"),
		errors:     vec("errors_total", "Failed attempts of a step.", "stage"),
		restores:   vec("restores_total", "Starts of a partition, by where its state came from: store, snapshot or log.", "from"),
		failures:   vec("partition_failures_total", "Assignments that ended with an error.", "partition"),
		fenced: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "aftertouch_attributor_fenced_total", Help: "Offset commits refused because another member has the partition.",
		}),
		stageSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "aftertouch_attributor_stage_duration_seconds", Help: "Time of one batch in one stage, repetitions included.", Buckets: seconds,
		}, []string{"stage"}),
		batchSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "aftertouch_attributor_batch_duration_seconds", Help: "Time of one batch in all stages.", Buckets: seconds,
		}),
		batchRecords: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "aftertouch_attributor_batch_records", Help: "Records of one batch.", Buckets: prometheus.ExponentialBuckets(1, 4, 9),
		}),
	}
	var errs []error
	for _, c := range []prometheus.Collector{
		m.in, m.inBytes, m.duplicates, m.out, m.rejected, m.errors, m.restores, m.failures, m.fenced,
		m.stageSeconds, m.batchSeconds, m.batchRecords, s,
	} {
		errs = append(errs, reg.Register(c))
	}
	return m, errors.Join(errs...)
}

func (m *metrics) observe(stage string, began time.Time) {
	m.stageSeconds.WithLabelValues(stage).Observe(time.Since(began).Seconds())
}

func (m *metrics) count(partition string, in *input, i, j int, e *attribution.Effects) {
	bytes := 0
	for _, msg := range in.msgs[i:j] {
		bytes += len(msg.Key) + len(msg.Value)
	}
	m.in.WithLabelValues(partition).Add(float64(j - i))
	m.inBytes.WithLabelValues(partition).Add(float64(bytes))
	m.duplicates.WithLabelValues(partition).Add(float64(e.Duplicates))
	m.batchRecords.Observe(float64(j - i))
	for _, k := range []struct {
		kind string
		n    int
	}{
		{"facts", len(e.Facts)},
		{"journeys", len(e.Journeys)},
		{"identities", len(e.Identities)},
		{"refusals", len(e.Refusals)},
		{"messages", len(e.Messages)},
	} {
		m.out.WithLabelValues(partition, k.kind).Add(float64(k.n))
	}
}

func (p *partition) label() string { return strconv.Itoa(int(p.id)) }
