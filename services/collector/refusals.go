package collector

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"sync"
	"time"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/event"
	"github.com/aftertouch-io/aftertouch/internal/eventlog"
)

// refusals counts what was refused, for the metrics and for the log (E7). Counts in the log are totals of an hour, so that
// each record replaces the one before it.
type refusals struct {
	metrics *metrics
	runID   string

	mu    sync.Mutex
	hours map[refusalHour]*hourCounts
}

// refusalHour is what one record of the log counts. What came without a known key belongs to no workspace; it is counted in
// the metrics only.
type refusalHour struct {
	workspace string
	hour      int64 // Unix ms
}

type hourCounts struct {
	counts  map[refusalCause]int64
	changed bool
}

type refusalCause struct {
	transport transport
	reason    string
	keyID     string
}

func newRefusals(m *metrics) *refusals {
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails
	return &refusals{metrics: m, runID: hex.EncodeToString(id[:]), hours: map[refusalHour]*hourCounts{}}
}

func (r *refusals) count(workspace, keyID string, t transport, reason string, n int, now time.Time) {
	if n == 0 {
		return
	}
	r.metrics.rejected.WithLabelValues(string(t), reason).Add(float64(n))
	if workspace == "" {
		return
	}
	hour := refusalHour{workspace, now.Truncate(time.Hour).UnixMilli()}
	r.mu.Lock()
	defer r.mu.Unlock()
	h := r.hours[hour]
	if h == nil {
		h = &hourCounts{counts: map[refusalCause]int64{}}
		r.hours[hour] = h
	}
	h.counts[refusalCause{t, reason, keyID}] += int64(n)
	h.changed = true
}

// take returns the records of everything that changed since the last call, and forgets hours that are over.
func (r *refusals) take(now time.Time) map[refusalHour]*aftertouchv1.Refusals {
	current := now.Truncate(time.Hour).UnixMilli()
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := map[refusalHour]*aftertouchv1.Refusals{}
	for key, h := range r.hours {
		if h.changed {
			out := &aftertouchv1.Refusals{RunId: r.runID, Hour: key.hour}
			for cause, n := range h.counts {
				out.Counts = append(out.Counts, &aftertouchv1.RefusalCount{
					Transport: string(cause.transport), Reason: cause.reason, KeyId: cause.keyID, Count: n,
				})
			}
			taken[key] = out
			h.changed = false
		} else if key.hour < current {
			delete(r.hours, key)
		}
	}
	return taken
}

// restore makes what could not be appended due again.
func (r *refusals) restore(taken map[refusalHour]*aftertouchv1.Refusals) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key := range taken {
		if h := r.hours[key]; h != nil {
			h.changed = true
		}
	}
}

// flushRefusals appends the counts regularly until ctx ends.
func (c *Collector) flushRefusals(ctx context.Context) error {
	tick := time.NewTicker(c.cfg.RefusalInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			c.appendRefusals(ctx)
		}
	}
}

// appendRefusals appends what changed. Counts that could not be appended are in the next attempt.
func (c *Collector) appendRefusals(ctx context.Context) {
	taken := c.refusals.take(c.clock())
	var recs []eventlog.Record
	var err error
	for key, counts := range taken {
		var value []byte
		if value, err = event.EncodeRefusals(counts); err != nil {
			break
		}
		recs = append(recs, eventlog.Record{Key: []byte(event.RefusalAddress(key.workspace, c.refusals.runID).Key()), Value: value})
	}
	if err == nil {
		err = c.sink.append(ctx, recs)
	}
	if err != nil {
		c.refusals.restore(taken)
		c.log.Warn("appending refusal counts failed", "error", err)
	}
}
