package attributor

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aftertouch-io/aftertouch/internal/event"
	"github.com/aftertouch-io/aftertouch/internal/eventlog"
	"github.com/aftertouch-io/aftertouch/internal/store"
)

// clicks are n clicks of one visitor.
func clicks(t testing.TB, prefix string, n int) []eventlog.Record {
	t.Helper()
	w := newWorld(1)
	for i := range n {
		w.add(t, event.VisitorAddress(shop, "v"), click(prefix+string(rune('a'+i)), "v", "a0", 1, 1))
	}
	return w.recs
}

func TestALogThatWentBackwardsIsRefusedWithTheRemedy(t *testing.T) {
	r := newRig(t, 1)
	r.append(t, clicks(t, "x", 3))
	s := newSite(t, r)
	s.run(t)
	for _, tt := range []struct {
		name string
		recs []eventlog.Record
		prep func(s *site)
	}{
		{"log is shorter than the state", clicks(t, "x", 2), func(s *site) { s.offsets[0] = 2 }},
		{"log is shorter than the group's offset", clicks(t, "x", 2), func(s *site) { must(t, s.dir.Drop(1, 0)) }},
		{"log has another record where the state ends", clicks(t, "y", 3), func(*site) {}},
		{"log is of another epoch", clicks(t, "x", 3), func(s *site) { s.epoch.ID = "another" }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			other := newRig(t, 1)
			other.append(t, tt.recs)
			s := &site{
				rig: other, cfg: s.cfg, stateCfg: s.stateCfg, store: s.store, registry: s.registry, letters: s.letters,
				faults: &faults{}, writer: other.writer, offsets: map[int]int64{0: s.offsets[0]}, dir: s.dir,
			}
			copied := t.TempDir()
			must(t, os.CopyFS(copied+"/state", os.DirFS(s.stateCfg.Dir)))
			s.stateCfg.Dir = copied + "/state"
			s.dir = nil
			s.open(t)
			defer s.dir.Close()
			tt.prep(s)
			before := len(s.query(t, "SELECT event_id FROM facts"))
			s.run(t)
			f := s.failures()
			if len(f) != 1 || !errors.Is(f[0], ErrLogWentBackwards) {
				t.Fatalf("failures: %v", f)
			}
			if msg := f[0].Error(); !strings.Contains(msg, "log_went_backwards") || !strings.Contains(msg, "remedy: ") {
				t.Errorf("message %q", msg)
			}
			if after := len(s.query(t, "SELECT event_id FROM facts")); after != before {
				t.Errorf("%d rows were written", after-before)
			}
		})
	}
}

// snapshot takes a snapshot of every partition.
func (s *site) snapshot(t testing.TB) {
	t.Helper()
	for id := range s.epoch.Partitions {
		st, err := s.dir.Open(s.epoch.Number, int32(id))
		must(t, err)
		_, err = st.Snapshot(t.Context())
		must(t, err, st.Close())
	}
}

func TestALostStoreIsRestoredFromASnapshotOrRebuiltFromTheLog(t *testing.T) {
	r, w := newRig(t, 2), makeWorld(t, 5, 120)
	s := newSite(t, r)
	r.append(t, w.recs[:60])
	s.run(t)
	s.snapshot(t)
	r.append(t, w.recs[60:])
	s.run(t)
	rows := s.rows(t)
	for _, tt := range []struct {
		from string
		lose func()
	}{
		{"store", func() {}},
		{"snapshot", func() { must(t, os.RemoveAll(s.stateCfg.Dir)) }},
		{"log", func() { must(t, os.RemoveAll(s.stateCfg.Dir), os.RemoveAll(s.stateCfg.Dir+"-snapshots")) }},
	} {
		t.Run(tt.from, func(t *testing.T) {
			tt.lose()
			s.open(t)
			s.writer = discard{}
			s.run(t)
			if n := s.counter(t, "aftertouch_attributor_restores_total", "from", tt.from); n != 2 || len(s.failures()) > 0 {
				t.Errorf("%v partitions restored from %s; failures %v", n, tt.from, s.failures())
			}
			diffRows(t, tt.from, rows, s.rows(t))
		})
	}
}

func TestStateThatTheLogsRetentionHasOvertakenIsRebuiltFromWhatIsLeft(t *testing.T) {
	r := newRig(t, 1)
	s := newSite(t, r)
	r.append(t, clicks(t, "x", 2))
	s.run(t)
	s.snapshot(t)
	r.append(t, clicks(t, "y", 3))
	s.start = 3
	s.run(t)
	if n := s.counter(t, "aftertouch_attributor_restores_total", "from", "log"); n != 1 || len(s.failures()) > 0 {
		t.Errorf("%v restored from the log, failures %v", n, s.failures())
	}
	if got := s.facts(t); got != "xa xb yb yc" {
		t.Errorf("facts of %q", got)
	}
}

// slowSink lets a test see that an insert is under way.
type slowSink struct {
	Sink
	entered chan struct{}
	leave   chan struct{}
}

func (s slowSink) Insert(ctx context.Context, b *store.Batch) error {
	s.entered <- struct{}{}
	select {
	case <-s.leave:
	case <-ctx.Done():
		return ctx.Err()
	}
	return s.Sink.Insert(ctx, b)
}

func TestABatchUnderWayIsFinishedWhenTheAttributorIsToldToStop(t *testing.T) {
	for _, tt := range []struct {
		name  string
		grace time.Duration
		want  int64
	}{{"in time", 10 * time.Second, 3}, {"not in time", time.Millisecond, 0}} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, 1)
			r.append(t, clicks(t, "x", 3))
			s := newSite(t, r)
			s.cfg.DrainTimeout = tt.grace
			a := s.attributor(t)
			sink := slowSink{s.store, make(chan struct{}, 1), make(chan struct{})}
			a.deps.Sink = sink
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() {
				done <- a.handle(ctx, &siteLog{Partition: s.client.Partition(s.epoch.Topic, 0, s.epoch.ID), site: s, id: 0})
			}()
			<-sink.entered
			cancel()
			time.AfterFunc(200*time.Millisecond, func() { close(sink.leave) })
			if err := <-done; err != nil {
				t.Errorf("stopping: %v", err)
			}
			if s.offsets[0] != tt.want {
				t.Errorf("offset %d committed", s.offsets[0])
			}
		})
	}
}

// flakyDeriver counts its runs and fails all but the third.
type flakyDeriver struct{ runs atomic.Int32 }

func (d *flakyDeriver) Run(ctx context.Context) error {
	if d.runs.Add(1) < 3 {
		return errCrash
	}
	<-ctx.Done()
	return nil
}

func TestTheDeriverRunsWherePartitionZeroIsAndIsStartedAgain(t *testing.T) {
	r := newRig(t, 2)
	r.append(t, clicks(t, "x", 1))
	s := newSite(t, r)
	d := &flakyDeriver{}
	s.deriver = d
	a := s.attributor(t)
	run := func(id int) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		time.AfterFunc(time.Second, cancel)
		if err := a.handle(ctx, &siteLog{Partition: s.client.Partition(s.epoch.Topic, id, s.epoch.ID), site: s, id: id}); err != nil {
			t.Errorf("partition %d: %v", id, err)
		}
	}
	if run(1); d.runs.Load() != 0 {
		t.Errorf("partition 1 ran the deriver")
	}
	if run(0); d.runs.Load() != 3 {
		t.Errorf("%d runs", d.runs.Load())
	}
	if n := s.counter(t, "aftertouch_attributor_errors_total", "stage", stageDerive); n != 2 {
		t.Errorf("%v failures counted", n)
	}
}

// refusingSink refuses every row for good.
type refusingSink struct{}

func (refusingSink) Insert(context.Context, *store.Batch) error { return store.ErrPermanent }

func TestARowThatIsRefusedForGoodStopsThePartition(t *testing.T) {
	r := newRig(t, 1)
	r.append(t, clicks(t, "x", 1))
	s := newSite(t, r)
	a := s.attributor(t)
	a.deps.Sink = refusingSink{}
	err := a.handle(t.Context(), &siteLog{Partition: s.client.Partition(s.epoch.Topic, 0, s.epoch.ID), site: s, id: 0})
	if !errors.Is(err, eventlog.ErrStopPartition) || !errors.Is(err, store.ErrPermanent) {
		t.Errorf("got %v", err)
	}
	a.statuses.stop(0)
	if err := a.Ready(); err == nil || len(a.Lag()) != 1 || !a.Lag()[0].Stopped {
		t.Errorf("ready: %v, lag %+v", err, a.Lag())
	}
}
