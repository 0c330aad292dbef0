package state

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/aftertouch-io/aftertouch/internal/event"
)

// The benchmarks' state: 10 M touches of 500,000 people, 20 each on average, by Zipf's law.
const (
	benchTouches = 10_000_000
	benchPeople  = 500_000
	deltaBytes   = 90
	payloadBytes = 300
)

// people draws people as often as they touch.
type people struct {
	rng  *rand.Rand
	ends []int64
}

func newPeople(seed uint64) *people {
	p := &people{rng: rand.New(rand.NewPCG(seed, 3)), ends: make([]int64, benchPeople)}
	// Weights 1/(i+q), with q such that the first one has about 1500 of the touches.
	const q = 1000
	total := 0.0
	for i := range benchPeople {
		total += 1 / float64(i+q)
	}
	sum := 0.0
	for i := range benchPeople {
		sum += 1 / float64(i+q) / total
		p.ends[i] = int64(sum * (1 << 53))
	}
	return p
}

func (p *people) next() event.Address {
	i, _ := slices.BinarySearch(p.ends, p.rng.Int64N(1<<53))
	return person(min(i, benchPeople-1))
}

func person(i int) event.Address {
	return event.VisitorAddress("shop", fmt.Sprintf("%08x-visitor-%07d", uint32(i)*2654435761, i))
}

// benchStore returns a store of benchTouches touches. It is made once: AFTERTOUCH_BENCH_DIR names a directory that keeps
// it; without, it is made in a temporary one.
func benchStore(b *testing.B) *Store {
	b.Helper()
	cfg := Default()
	cfg.SnapshotInterval = 0
	cfg.Dir = filepath.Join(b.TempDir(), "state")
	if dir := os.Getenv("AFTERTOUCH_BENCH_DIR"); dir != "" {
		cfg.Dir = filepath.Join(dir, "state")
	}
	d := testDir(b, cfg)
	s, err := d.Open(1, 0)
	if err != nil {
		s = fill(b, d)
	}
	b.Cleanup(func() { closeStore(b, s) })
	return s
}

func fill(b *testing.B, d *Dir) *Store {
	b.Helper()
	s, err := d.Create(1, 0, Meta{EpochID: "bench"})
	must(b, err)
	p, began := newPeople(1), time.Now()
	for s.Meta().Next < benchTouches {
		benchCommit(b, s, p, 50_000, false)
	}
	b.Logf("filled in %s: %s", time.Since(began).Round(time.Second), s.db.Metrics().String())
	return s
}

func benchCommit(b *testing.B, s *Store, p *people, n int, read bool) {
	next := s.Meta().Next
	// 500 touches a second.
	clock := int64(1_767_600_000_000) + next*2
	batch := s.NewBatch(clock)
	defer func() { must(b, batch.Close()) }()
	delta, payload := make([]byte, deltaBytes), make([]byte, payloadBytes)
	seen := map[event.Address]bool{}
	for i := range n {
		a := p.next()
		if read && !seen[a] {
			if _, err := s.State(a); err != nil {
				b.Fatal(err)
			}
			seen[a] = true
		}
		for j := 0; j < len(delta); j += 8 {
			// Half of the bytes compress.
			delta[j] = byte(p.rng.Uint32())
			delta[j+1] = byte(p.rng.Uint32())
		}
		for j := 0; j < len(payload); j += 8 {
			payload[j] = byte(p.rng.Uint32())
		}
		must(b, batch.Append(a, delta), batch.PutEvent(a, fmt.Sprintf("%020x", uint64(next+int64(i))*0x9E3779B97F4A7C15), logDay(clock), payload))
	}
	must(b, s.Commit(batch, Progress{From: next, Next: next + int64(n), Clock: clock}))
}

// BenchmarkCommit reads the state of each entity of a batch once, adds a delta and a payload for each event, and commits.
func BenchmarkCommit(b *testing.B) {
	s, p := benchStore(b), newPeople(2)
	const n = 20_000
	b.ReportAllocs()
	for b.Loop() {
		benchCommit(b, s, p, n, true)
	}
	b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkState reads the states of people at random.
func BenchmarkState(b *testing.B) {
	s, p := benchStore(b), newPeople(3)
	b.ReportAllocs()
	bytes, before := 0, cpu()
	for b.Loop() {
		// Everybody is read as often: who comes by often is in the core's memory.
		v, err := s.State(person(p.rng.IntN(benchPeople)))
		if err != nil {
			b.Fatal(err)
		}
		bytes += len(v)
	}
	b.ReportMetric(float64((cpu()-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
	b.ReportMetric(float64(bytes)/float64(b.N), "bytes/read")
}

// cpu is the time that all cores have spent on this process: it says more than the clock on a machine that others use too.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkUnknownState reads states of people who have none.
func BenchmarkUnknownState(b *testing.B) {
	s := benchStore(b)
	b.ReportAllocs()
	before := cpu()
	for i := 0; b.Loop(); i++ {
		if v, err := s.State(event.VisitorAddress("shop", fmt.Sprintf("%08x-nobody", uint32(i)*2654435761))); err != nil || v != nil {
			b.Fatal(v, err)
		}
	}
	b.ReportMetric(float64((cpu()-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
}
