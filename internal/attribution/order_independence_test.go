package attribution

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const simSeeds = 60

// simEvents returns the external events of a seed: a few people, from some to many events in the same hours.
func simEvents(seed uint64) []external {
	rng := rand.New(rand.NewPCG(seed, 1))
	w := &world{rng: rng, density: pick(rng, 30, 120, 2000)}
	return w.make(pick(rng, 8, 25, 60, 250))
}

func TestFinalRowsAreTheSameInAnyOrderOfArrival(t *testing.T) {
	for seed := range uint64(simSeeds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			events := simEvents(seed)
			var want string
			for run := range 4 {
				rng := rand.New(rand.NewPCG(seed, uint64(run)))
				s := newSimulation(t, seed*10+uint64(run), &simLog{make([][]logRecord, 1+run)}, simTerms())
				s.maxBatch = 1 + rng.IntN(20)
				s.crashes = run%2 == 1
				s.cacheBytes = rng.IntN(2) * 1 << 30
				rng.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
				s.run(events)
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
