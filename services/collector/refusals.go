package collector

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
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
	// nobodys counts since the last look what came without a known key.
	nobodys int64
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
	r.mu.Lock()
	defer r.mu.Unlock()
	if workspace == "" {
		r.nobodys += int64(n)
		return
	}
	hour := refusalHour{workspace, now.Truncate(time.Hour).UnixMilli()}
	h := r.hours[hour]
	if h == nil {
		h = &hourCounts{counts: map[refusalCause]int64{}}
		r.hours[hour] = h
	}
	h.counts[refusalCause{t, reason, keyID}] += int64(n)
	h.changed = true
}

// maxCounts bounds the counts of one record: with many keys there may be more than fit.
const maxCounts = 2000

// take returns the counts of everything that changed since the last call, and forgets hours that are over.
func (r *refusals) take(now time.Time) map[refusalHour][]*aftertouchv1.Refusals {
	current := now.Truncate(time.Hour).UnixMilli()
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := map[refusalHour][]*aftertouchv1.Refusals{}
	for key, h := range r.hours {
		if h.changed {
			taken[key] = r.records(key, h)
			h.changed = false
		} else if key.hour < current {
			delete(r.hours, key)
		}
	}
	return taken
}

func (r *refusals) records(key refusalHour, h *hourCounts) (out []*aftertouchv1.Refusals) {
	for cause, n := range h.counts {
		if len(out) == 0 || len(out[len(out)-1].Counts) == maxCounts {
			out = append(out, &aftertouchv1.Refusals{RunId: r.runID, Hour: key.hour})
		}
		last := out[len(out)-1]
		last.Counts = append(last.Counts, &aftertouchv1.RefusalCount{
			Transport: string(cause.transport), Reason: cause.reason, KeyId: cause.keyID, Count: n,
		})
	}
	return out
}

// takeNobodys returns what came without a known key since the last call.
func (r *refusals) takeNobodys() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.nobodys
	r.nobodys = 0
	return n
}

// restore makes what could not be appended due again.
func (r *refusals) restore(taken map[refusalHour][]*aftertouchv1.Refusals) {
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
	if n := c.refusals.takeNobodys(); n > 0 {
		c.log.Warn("requests without a known key were refused", "requests", n)
	}
	taken := c.refusals.take(c.clock())
	recs, err := c.encodeRefusals(taken)
	if err == nil {
		err = c.sink.append(ctx, recs)
	}
	if err != nil {
		c.refusals.restore(taken)
		c.log.Warn("appending refusal counts failed", "error", err)
	}
}

func (c *Collector) encodeRefusals(taken map[refusalHour][]*aftertouchv1.Refusals) (recs []eventlog.Record, err error) {
	for key, parts := range taken {
		address := []byte(event.RefusalAddress(key.workspace, c.refusals.runID).Key())
		for _, counts := range parts {
			value, err := event.EncodeRefusals(counts)
			if err != nil {
				return nil, fmt.Errorf("encoding refusal counts: %w", err)
			}
			recs = append(recs, eventlog.Record{Key: address, Value: value})
		}
	}
	return recs, nil
}
