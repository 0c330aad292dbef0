package attributor

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/event"
	"github.com/aftertouch-io/aftertouch/internal/eventlog"
	"github.com/aftertouch-io/aftertouch/internal/state"
	"github.com/aftertouch-io/aftertouch/internal/store"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/segmentio/kafka-go"
)

// machine is a few partitions whose logs are in memory, so that records can have any timestamp.
type machine struct {
	partitions []*partition
	deps       *Deps
	balancer   kafka.Murmur2Balancer
	all        []int
	// now is the timestamp of the next records.
	now int64

	mu   sync.Mutex
	logs [][]kafka.Message
	next []int64
}

func newMachine(t testing.TB, partitions int, dir *state.Dir, registry Registry, sink Sink) *machine {
	t.Helper()
	m := &machine{balancer: kafka.Murmur2Balancer{Consistent: true}, now: begin}
	m.deps = &Deps{
		Registry: registry, Writer: m, Sink: sink, DeadLetters: &fakeLetters{}, Log: quiet(), Metrics: prometheus.NewRegistry(), Stores: StateDir(dir),
	}
	cfg := Default()
	a, err := New(cfg, *m.deps)
	must(t, err)
	for id := range partitions {
		st, err := m.deps.Stores.Open(1, int32(id))
		if err != nil {
			st, err = m.deps.Stores.Create(1, int32(id), state.Meta{EpochID: "machine"})
		}
		must(t, err)
		p := &partition{
			cfg: &cfg, deps: m.deps, epoch: eventlog.EpochInfo{Number: 1}, id: int32(id), src: nowhere{}, log: quiet(), metrics: a.metrics,
			status: &status{}, state: st, clock: st.Meta().Clock, batch: st.NewBatch(0), newCore: a.newCore,
		}
		must(t, p.reload())
		t.Cleanup(func() { must(t, p.batch.Close(), st.Close()) })
		m.partitions, m.all = append(m.partitions, p), append(m.all, id)
		m.logs, m.next = append(m.logs, nil), append(m.next, st.Meta().Next)
	}
	return m
}

// Append takes messages as the next batch's records.
func (m *machine) Append(_ context.Context, recs []eventlog.Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range recs {
		id := m.balancer.Balance(kafka.Message{Key: r.Key}, m.all...)
		m.logs[id] = append(m.logs[id], kafka.Message{
			Partition: id, Offset: m.next[id], Key: slices.Clone(r.Key), Value: slices.Clone(r.Value), Time: time.UnixMilli(m.now),
		})
		m.next[id]++
	}
	return nil
}

func (m *machine) add(t testing.TB, to event.Address, e *aftertouchv1.Event) {
	value, err := event.EncodeEvent(e)
	must(t, err)
	must(t, m.Append(t.Context(), []eventlog.Record{{Key: []byte(to.Key()), Value: value}}))
}

// run applies everything that is in the logs, messages that follow from it included, and returns how many records.
func (m *machine) run(t testing.TB) (n int) {
	t.Helper()
	for {
		var wg sync.WaitGroup
		found := false
		for i, p := range m.partitions {
			m.mu.Lock()
			msgs := m.logs[i]
			m.logs[i] = nil
			m.mu.Unlock()
			if len(msgs) == 0 {
				continue
			}
			found, n = true, n+len(msgs)
			wg.Go(func() { m.apply(t, p, msgs) })
		}
		wg.Wait()
		if !found || t.Failed() {
			return n
		}
	}
}

func (m *machine) apply(t testing.TB, p *partition, msgs []kafka.Message) {
	in := &input{}
	for _, msg := range msgs {
		in.add(msg, 1)
	}
	for done := 0; done < len(in.recs); {
		var err error
		if done, err = p.step(t.Context(), in, done); err != nil {
			t.Error(err)
			return
		}
	}
}

// nowhere is a log that keeps no offsets.
type nowhere struct{ Log }

func (nowhere) CommitOffset(context.Context, int64) error { return nil }

// noSink keeps no rows.
type noSink struct{}

func (noSink) Insert(context.Context, *store.Batch) error { return nil }
