package eventlog

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

type writerMetrics struct {
	records, bytes, failed, attemptsFailed, blocked prometheus.Counter
	duration, batchBytes                            prometheus.Histogram
}

func newWriterMetrics(reg prometheus.Registerer) (*writerMetrics, error) {
	m := &writerMetrics{
		records:        counter("records_total", "Records acknowledged by the brokers."),
		bytes:          counter("bytes_total", "Bytes acknowledged by the brokers, as sent."),
		failed:         counter("failed_records_total", "Records given up; their callers got an error."),
		attemptsFailed: counter("failed_attempts_total", "Attempts to send a batch that failed, whether or not a later one succeeded."),
		blocked:        counter("blocked_calls_total", "Calls that had to wait because too many bytes were waiting."),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "aftertouch_eventlog_write_duration_seconds", Help: "From the sealing of a batch to its acknowledgement.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16),
		}),
		batchBytes: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "aftertouch_eventlog_write_batch_bytes", Help: "Size of batches before compression.",
			Buckets: prometheus.ExponentialBuckets(256, 4, 7),
		}),
	}
	for _, c := range []prometheus.Collector{m.records, m.bytes, m.failed, m.attemptsFailed, m.blocked, m.duration, m.batchBytes} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("registering metrics of the event log's writer: %w", err)
		}
	}
	return m, nil
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: "aftertouch_eventlog_write_" + name, Help: help})
}
