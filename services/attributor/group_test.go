package attributor

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/aftertouch-io/aftertouch/internal/eventlog"
)

// member runs the site's attributor as a member of the real group until stop is called.
func (s *site) member(t testing.TB) (a *Attributor, stop func()) {
	t.Helper()
	s.cfg.HeartbeatInterval, s.cfg.SessionTimeout = 100*time.Millisecond, 6*time.Second
	a = s.attributor(t)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("member ended with %v", err)
			}
		case <-time.After(30 * time.Second):
			t.Error("member did not stop")
		}
	}
	t.Cleanup(stop)
	return a, stop
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("timed out: %s", what)
		}
	}
}

// applied says whether the members together have applied everything in the log.
func (r *rig) applied(t testing.TB, members ...*Attributor) bool {
	t.Helper()
	next := map[int]int64{}
	for _, a := range members {
		a.statuses.mu.Lock()
		for id, st := range a.statuses.m {
			if st.isRestored.Load() {
				next[id] = st.next.Load()
			}
		}
		a.statuses.mu.Unlock()
	}
	for id := range r.epoch.Partitions {
		_, end, err := r.client.Partition(r.epoch.Topic, id, r.epoch.ID).Range(t.Context())
		must(t, err)
		if n, ok := next[id]; !ok || n != end {
			return false
		}
	}
	return true
}

// Journeys without what says where in the log their causes are.
const journeysSQL = "SELECT formatRow('JSONEachRow', * EXCEPT (version, cause, order_epoch, order_partition, order_offset, epoch, " +
	"partition, cause_offset)) AS r FROM journeys FINAL ORDER BY r"

// beside returns another machine of the site: it shares the tables and the group, not the state.
func beside(t testing.TB, s *site) *site {
	t.Helper()
	b := &site{
		rig: s.rig, cfg: s.cfg, stateCfg: s.stateCfg, store: s.store, registry: s.registry, letters: s.letters,
		faults: &faults{}, writer: s.writer, offsets: map[int]int64{},
	}
	b.stateCfg.Dir = t.TempDir() + "/state"
	b.open(t)
	t.Cleanup(func() { b.dir.Close() })
	return b
}

func TestTwoMembersShareTheWorkAndChangeNoJourney(t *testing.T) {
	w := makeWorld(t, 6, 240)
	alone := newSite(t, newRig(t, 4))
	alone.rig.append(t, w.recs)
	alone.run(t)
	s := newSite(t, newRig(t, 4))
	other := beside(t, s)
	a, stopA := s.member(t)
	s.rig.append(t, w.recs[:80])
	eventually(t, "the first member has everything", func() bool { return s.applied(t, a) && a.Ready() == nil })
	b, _ := other.member(t)
	s.rig.append(t, w.recs[80:160])
	eventually(t, "both have two partitions", func() bool { return len(a.Lag()) == 2 && len(b.Lag()) == 2 && s.applied(t, a, b) })
	stopA()
	s.rig.append(t, w.recs[160:])
	eventually(t, "the second member has everything", func() bool { return len(b.Lag()) == 4 && s.applied(t, b) })
	diffRows(t, "two members", map[string][]string{"journeys": alone.query(t, journeysSQL)}, map[string][]string{"journeys": s.query(t, journeysSQL)})
}

// TestAPausedOwnerThatComesBackCannotCommit lets a member lose its partition before it has done anything, lets another
// one do all the work, and then the first one goes on with its old generation.
func TestAPausedOwnerThatComesBackCannotCommit(t *testing.T) {
	s := newSite(t, newRig(t, 1))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	assigned, left := make(chan *eventlog.Assignment, 1), make(chan error, 1)
	cfg := eventlog.GroupConfig{GroupID: s.cfg.Group, Epoch: s.epoch, SessionTimeout: 6 * time.Second, HeartbeatInterval: 100 * time.Millisecond}
	go func() {
		left <- eventlog.RunGroup(ctx, s.client, cfg, quiet(), func(ctx context.Context, a *eventlog.Assignment) error {
			assigned <- a
			<-ctx.Done()
			return nil
		})
	}()
	paused := <-assigned
	cancel()
	must(t, <-left)
	w := makeWorld(t, 8, 60)
	s.rig.append(t, w.recs)
	owner, stop := s.member(t)
	eventually(t, "the new owner has everything", func() bool { return s.applied(t, owner) })
	stop()
	rows := s.rows(t)

	back := beside(t, s)
	back.cfg.MaxRecords, back.writer = 10, discard{}
	a := back.attributor(t)
	if err := a.handle(t.Context(), paused); !errors.Is(err, eventlog.ErrFenced) {
		t.Errorf("the paused owner ended with %v", err)
	}
	families, err := back.metrics.Gather()
	must(t, err)
	for _, f := range families {
		if f.GetName() == "aftertouch_attributor_fenced_total" && f.GetMetric()[0].GetCounter().GetValue() != 1 {
			t.Errorf("fenced %v times", f.GetMetric()[0].GetCounter().GetValue())
		}
	}
	diffRows(t, "paused owner", rows, s.rows(t))
	again, stop := s.member(t)
	eventually(t, "the group's offset is the new owner's", func() bool { return s.applied(t, again) && again.Ready() == nil })
	stop()
	diffRows(t, "afterwards", rows, s.rows(t))
}

func TestRunRefusesALogThatWentBackwards(t *testing.T) {
	s := newSite(t, newRig(t, 2))
	s.rig.append(t, makeWorld(t, 9, 30).recs)
	s.run(t)
	s.rig = newRig(t, 2)
	s.rig.append(t, clicks(t, "x", 1))
	a := s.attributor(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := a.Run(ctx); !errors.Is(err, ErrLogWentBackwards) {
		t.Errorf("run ended with %v", err)
	}
}
