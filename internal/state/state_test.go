package state

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/aftertouch-io/aftertouch/internal/event"
	"github.com/prometheus/client_golang/prometheus"
)

func testConfig(t testing.TB) Config {
	cfg := Default()
	cfg.Dir = t.TempDir() + "/state"
	cfg.CacheBytes, cfg.MemTableBytes = 8<<20, 1<<20
	return cfg
}

func testDir(t testing.TB, cfg Config) *Dir {
	t.Helper()
	d, err := NewDir(cfg, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

func create(t testing.TB, d *Dir, next int64) *Store {
	t.Helper()
	s, err := d.Create(1, 0, Meta{EpochID: "id", Next: next})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.closeIfOpen(t) })
	return s
}

// closeIfOpen closes stores that a test left open.
func (s *Store) closeIfOpen(t testing.TB) {
	s.dir.mu.Lock()
	_, open := s.dir.open[s]
	s.dir.mu.Unlock()
	if open {
		closeStore(t, s)
	}
}

func closeStore(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func must(t testing.TB, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// commit applies changes as one record at the store's next offset.
func commit(t testing.TB, s *Store, clock int64, change func(b *Batch)) {
	t.Helper()
	b := s.NewBatch(clock)
	defer func() { must(t, b.Close()) }()
	change(b)
	next := s.Meta().Next
	must(t, s.Commit(b, Progress{From: next, Next: next + 1, Last: Mark{Timestamp: clock, Checksum: uint64(next)}, Clock: clock}))
}

func visitor(id string) event.Address { return event.VisitorAddress("shop", id) }

func wantState(t testing.TB, s *Store, a event.Address, want string) {
	t.Helper()
	got, err := s.State(a)
	if err != nil || string(got) != want || (want == "" && got != nil) {
		t.Fatalf("state of %s = %q, %v; want %q", a.Key(), got, err, want)
	}
}

func TestDeltasComeBackInTheOrderOfTheirAppending(t *testing.T) {
	d := testDir(t, testConfig(t))
	s := create(t, d, 0)
	a, b := visitor("a"), visitor("b")
	wantState(t, s, a, "")
	commit(t, s, 1000, func(c *Batch) { must(t, c.Append(a, []byte("1")), c.Append(b, []byte("x")), c.Append(a, []byte("2"))) })
	commit(t, s, 1000, func(c *Batch) { must(t, c.Append(a, []byte("3"))) })
	must(t, s.db.Flush())
	commit(t, s, 1000, func(c *Batch) { must(t, c.Append(a, []byte("4"))) })
	wantState(t, s, a, "1234")
	wantState(t, s, b, "x")
	must(t, s.db.Flush(), s.db.Compact(t.Context(), []byte{0}, []byte{255}, false))
	wantState(t, s, a, "1234")
	commit(t, s, 1000, func(c *Batch) {
		must(t, c.Append(a, []byte("gone")), c.Replace(a, []byte("5")), c.Append(a, []byte("6")))
	})
	wantState(t, s, a, "56")
}

func TestEventsAreKeptApartByAddressIDAndDay(t *testing.T) {
	d := testDir(t, testConfig(t))
	s := create(t, d, 0)
	a := visitor("a")
	commit(t, s, 1000, func(c *Batch) {
		must(t, c.PutEvent(a, "bc", 7, []byte("1")), c.PutEvent(visitor("ab"), "c", 7, []byte("2")),
			c.PutEvent(a, "bc", 8, []byte("3")), c.PutEvent(a, "bc", 7, []byte("4")))
	})
	for _, tt := range []struct {
		a    event.Address
		id   string
		day  uint16
		want string
	}{{a, "bc", 7, "4"}, {visitor("ab"), "c", 7, "2"}, {a, "bc", 8, "3"}, {a, "bc", 9, ""}, {a, "b", 7, ""}} {
		got, err := s.Event(tt.a, tt.id, tt.day)
		if err != nil || string(got) != tt.want {
			t.Errorf("event %s %s %d = %q, %v; want %q", tt.a.Key(), tt.id, tt.day, got, err, tt.want)
		}
	}
	wantState(t, s, a, "")
}

func TestACommitThatDoesNotBeginWhereTheStoreEndsIsRefused(t *testing.T) {
	d := testDir(t, testConfig(t))
	s := create(t, d, 10)
	b := s.NewBatch(0)
	defer func() { must(t, b.Close()) }()
	for _, p := range []Progress{{From: 9, Next: 12}, {From: 11, Next: 12}, {From: 10, Next: 10}} {
		must(t, b.Append(visitor("a"), []byte("1")))
		if err := s.Commit(b, p); !errors.Is(err, ErrMoved) {
			t.Errorf("commit %+v: %v", p, err)
		}
		b.Reset(0)
	}
	if s.Meta().Next != 10 {
		t.Errorf("next = %d", s.Meta().Next)
	}
	wantState(t, s, visitor("a"), "")
}

func TestAStoreThatIsOpenedAgainHoldsWhatWasCommittedAndNothingElse(t *testing.T) {
	d := testDir(t, testConfig(t))
	s := create(t, d, 5)
	commit(t, s, 1000, func(c *Batch) { must(t, c.Append(visitor("a"), []byte("1"))) })
	b := s.NewBatch(0)
	must(t, b.Append(visitor("a"), []byte("2")), b.Close())
	want := s.Meta()
	if _, err := d.Open(1, 0); err == nil || errors.Is(err, ErrNoStore) {
		t.Errorf("opening a store that is open: %v", err)
	}
	closeStore(t, s)
	s, err := d.Open(1, 0)
	must(t, err)
	defer closeStore(t, s)
	if got := s.Meta(); got.Next != 6 || got.Last != want.Last || got.EpochID != "id" || got.Clock != 1000 {
		t.Errorf("meta = %+v, want %+v", got, want)
	}
	wantState(t, s, visitor("a"), "1")
}

func TestNoStoreIsSaidWithItsOwnError(t *testing.T) {
	d := testDir(t, testConfig(t))
	if _, err := d.Open(1, 0); !errors.Is(err, ErrNoStore) {
		t.Errorf("missing store: %v", err)
	}
	closeStore(t, create(t, d, 0))
	must(t, d.Drop(1, 0))
	if _, err := d.Open(1, 0); !errors.Is(err, ErrNoStore) {
		t.Errorf("dropped store: %v", err)
	}
	closeStore(t, create(t, d, 0))
	if left, err := filepath.Glob(d.Path(1, 0) + "*"); err != nil || len(left) != 1 {
		t.Errorf("beside the store there is %v, %v", left, err)
	}
}

func TestSweepsFindWhatTheHorizonHasPassedAndNothingElse(t *testing.T) {
	cfg := testConfig(t)
	cfg.Horizon, cfg.SweepKeys = 10*24*time.Hour, 7
	d := testDir(t, cfg)
	s := create(t, d, 0)
	day := func(n int64) int64 { return n * dayMs }
	name := func(i int) event.Address { return visitor(fmt.Sprintf("v%03d", i)) }
	found := map[event.Address]int{}
	at := func(clock int64, change func(c *Batch)) {
		t.Helper()
		expired, err := s.Expired(clock)
		must(t, err)
		commit(t, s, clock, func(c *Batch) {
			for _, a := range expired {
				found[a]++
				must(t, c.Replace(a, nil))
			}
			change(c)
		})
	}
	at(day(100), func(c *Batch) {
		for i := range 100 {
			must(t, c.Append(name(i), []byte("old")), c.PutEvent(name(i), "e", 100, []byte("p")))
		}
	})
	at(day(109), func(c *Batch) {
		for i := 0; i < 100; i += 2 {
			must(t, c.Append(name(i), []byte("+new")))
		}
	})
	at(day(113), func(*Batch) {})
	if got, err := s.Event(name(1), "e", 100); err != nil || got == nil {
		t.Fatalf("a payload at the horizon is gone: %q, %v", got, err)
	}
	if len(found) != 0 {
		t.Fatalf("swept too early: %v", found)
	}
	// The sweep goes on by and by, over a restart too.
	for i := range 40 {
		at(day(121), func(*Batch) {})
		if i == 5 {
			closeStore(t, s)
			var err error
			s, err = d.Open(1, 0)
			must(t, err)
			defer closeStore(t, s)
		}
	}
	if got, err := s.Event(name(1), "e", 100); err != nil || got != nil {
		t.Errorf("expired payload = %q, %v", got, err)
	}
	for i := range 100 {
		want := "old+new"
		if i%2 == 1 {
			want = ""
		}
		wantState(t, s, name(i), want)
		if n := found[name(i)]; n != i%2 {
			t.Errorf("entity %d was found %d times", i, n)
		}
	}
	if m := s.Meta(); len(m.SweepCursor) != 0 || m.SweepDay != 108 {
		t.Errorf("sweep is not over: %+v", m)
	}
}

// TestRandomChangesMatchAModel makes random changes with restarts, flushes, snapshots and restores in between and
// compares every entity with a map.
func TestRandomChangesMatchAModel(t *testing.T) {
	for seed := range uint64(5) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { randomChanges(t, seed) })
	}
}

func randomChanges(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 1))
	d := testDir(t, testConfig(t))
	s := create(t, d, 0)
	model := map[string]string{}
	models := map[int64]map[string]string{}
	for step := range 200 {
		id := func() string { return fmt.Sprint(rng.IntN(40)) }
		commit(t, s, 1000, func(c *Batch) {
			for range rng.IntN(50) {
				id, delta := id(), fmt.Sprintf("%d.", rng.IntN(1000))
				if rng.IntN(10) == 0 {
					model[id] = ""
					must(t, c.Replace(visitor(id), nil))
				}
				model[id] += delta
				must(t, c.Append(visitor(id), []byte(delta)))
			}
		})
		switch rng.IntN(20) {
		case 0:
			must(t, s.db.Flush())
		case 1:
			closeStore(t, s)
			var err error
			s, err = d.Open(1, 0)
			must(t, err)
		case 2:
			next, err := s.Snapshot(t.Context())
			must(t, err)
			models[next] = copyMap(model)
		case 3:
			if len(models) == 0 {
				continue
			}
			closeStore(t, s)
			var err error
			s, err = d.Restore(t.Context(), 1, 0, func(Meta) error { return nil })
			must(t, err)
			model = copyMap(models[s.Meta().Next])
		}
		for range 5 {
			id := id()
			wantState(t, s, visitor(id), model[id])
		}
		_ = step
	}
	closeStore(t, s)
}

func copyMap(m map[string]string) map[string]string {
	c := make(map[string]string, len(m))
	for k, v := range m {
		c[k] = v
	}
	return c
}

func TestConfigSaysWhatCannotWork(t *testing.T) {
	cfg := Default()
	if err := cfg.Validate(); err == nil {
		t.Error("a missing directory was accepted")
	}
	cfg.Dir = "x"
	if err := cfg.Validate(); err != nil {
		t.Errorf("defaults: %v", err)
	}
	cfg = Config{Dir: "x"}
	if err := cfg.Validate(); err == nil {
		t.Error("zeros were accepted")
	}
}
