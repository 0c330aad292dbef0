package attribution

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const simSeeds = 300

// simEvents returns the external events of a seed: a few people, from some to many events in the same hours.
func simEvents(seed uint64) []external {
	rng := rand.New(rand.NewPCG(seed, 1))
	w := &world{rng: rng, density: pick(rng, 30, 120, 2000)}
	w.make(pick(rng, 8, 25, 60, 120))
	if rng.IntN(6) == 0 {
		w.burst()
	}
	return w.events
}

func TestFinalRowsAreTheSameInAnyOrderOfArrival(t *testing.T) {
	for seed := range uint64(simSeeds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			events := simEvents(seed)
			var want string
			for run := range 3 {
				rng := rand.New(rand.NewPCG(seed, uint64(run)))
				s := newSimulation(t, seed*10+uint64(run), &simLog{make([][]logRecord, 1+run)}, simTerms())
				s.maxBatch = 1 + rng.IntN(20)
				s.crashes, s.repeats = run%2 == 1, run > 0
				s.cacheBytes = rng.IntN(2) * 1 << 30
				rng.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
				s.run(events)
				s.checkState()
				got := s.tables.final()
				if run == 0 {
					want = got
				} else if want != got {
					t.Fatalf("run %d differs (-first +this):\n%s", run, cmp.Diff(want, got))
				}
			}
		})
	}
}

func TestRowsOfOneLogAreTheSameForAnyBatchesAndCrashes(t *testing.T) {
	for seed := range uint64(simSeeds / 3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			first := newSimulation(t, seed, &simLog{make([][]logRecord, 1+seed%4)}, simTerms())
			first.maxBatch = 5
			first.run(simEvents(seed))
			want := first.tables.history()
			for run := range uint64(3) {
				s := newSimulation(t, seed+run, first.log, simTerms())
				s.replayOnly, s.crashes, s.maxBatch, s.cacheBytes = true, run > 0, 1+int(run)*7, int(run)<<12
				s.drain()
				if got := s.tables.history(); want != got {
					t.Fatalf("run %d differs (-first +this):\n%s", run, cmp.Diff(want, got))
				}
			}
		})
	}
}
