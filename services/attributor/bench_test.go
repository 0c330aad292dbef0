package attributor

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/event"
	"github.com/aftertouch-io/aftertouch/internal/state"
	"github.com/aftertouch-io/aftertouch/internal/store/storetest"
	"github.com/prometheus/client_golang/prometheus"
)

// The benchmarks' state: 10 M touches of 500,000 people, 20 each on average by Zipf's law, one person with 10,000; over
// 60 days, in four partitions.
const (
	benchPartitions = 4
	benchTouches    = 10_000_000
	benchPeople     = 500_000
	benchHeaviest   = 10_000
	benchDays       = 60
	// benchWarmUp batches come before what is measured: after a start everybody is read from the disk first.
	benchWarmUp = 10
)

// crowd makes events of people, drawn as often as they come by.
type crowd struct {
	rng  *rand.Rand
	ends []int64
	now  int64
	seq  int
}

func newCrowd(seed uint64) *crowd {
	c := &crowd{rng: rand.New(rand.NewPCG(seed, 3)), ends: make([]int64, benchPeople), now: begin}
	// Weights 1/(i+q): apart from the first person, the heaviest has about 1,500 of the touches.
	const q = 1000
	weight := func(i int) float64 { return 1 / float64(i+q) }
	total := 0.0
	for i := range benchPeople {
		total += weight(i)
	}
	sum := 0.0
	for i := range benchPeople {
		if sum += weight(i) / total; i == 0 {
			sum = float64(benchHeaviest) / benchTouches
		}
		c.ends[i] = int64(sum * (1 << 53))
	}
	return c
}

func (c *crowd) person() int {
	i, _ := slices.BinarySearch(c.ends, c.rng.Int64N(1<<53))
	return min(i, benchPeople-1)
}

func visitorID(i int) string { return fmt.Sprintf("%08x-visitor-%07d", uint32(i)*2654435761, i) }

// touch makes a touch of a person a little before the crowd's clock.
func (c *crowd) touch(i int) (event.Address, *aftertouchv1.Event) {
	c.seq++
	agreement := c.rng.IntN(3)
	visitor := visitorID(i)
	e := &aftertouchv1.Event{
		EventId: fmt.Sprintf("%016x", uint64(c.seq)*0x9E3779B97F4A7C15), VisitorId: visitor,
		EventTime: event.Time(c.now - c.rng.Int64N(5*minute)), Link: fmt.Sprintf("l%d", agreement),
		PageUrl: "https://shop.example/products/running-shoes", Referrer: "https://social.example/",
		Consent: &aftertouchv1.Consent{State: aftertouchv1.Consent_granted},
		Stamps: &aftertouchv1.Stamps{
			ReceivedTime: event.Time(c.now), Source: aftertouchv1.Stamps_browser, WorkspaceVersion: 1, Country: "DE", DeviceClass: "mobile",
			Terms: &aftertouchv1.Terms{AgreementId: fmt.Sprintf("a%d", agreement), AgreementVersion: 1, CampaignId: "spring", CreatorId: fmt.Sprintf("c%d", agreement)},
		},
	}
	switch c.rng.IntN(10) {
	case 0, 1:
		e.Kind = &aftertouchv1.Event_Click{Click: &aftertouchv1.Click{}}
	case 2, 3, 4:
		e.Kind = &aftertouchv1.Event_Visit{Visit: &aftertouchv1.Visit{}}
	default:
		e.Kind = &aftertouchv1.Event_Impression{Impression: &aftertouchv1.Impression{Viewability: aftertouchv1.Impression_viewable, VisibleMs: 1500}}
	}
	return event.VisitorAddress(shop, visitor), e
}

// purchase makes an order of a person.
func (c *crowd) purchase(i int) (event.Address, *aftertouchv1.Event) {
	_, e := c.touch(i)
	e.Link, e.Stamps.Terms = "", nil
	order := fmt.Sprintf("order-%d", c.seq)
	e.Kind = &aftertouchv1.Event_Conversion{Conversion: &aftertouchv1.Conversion{Action: "purchase", OrderId: order, ValueMinor: 4990, Currency: "EUR"}}
	return event.OrderAddress(shop, "purchase", "", order), e
}

// benchMachine opens the benchmarks' state, and makes it once: AFTERTOUCH_BENCH_DIR names a directory that keeps it.
func benchMachine(b *testing.B, sink Sink) *machine {
	b.Helper()
	cfg := state.Default()
	cfg.Dir = filepath.Join(b.TempDir(), "state")
	if dir := os.Getenv("AFTERTOUCH_BENCH_DIR"); dir != "" {
		cfg.Dir = filepath.Join(dir, "attributor", "state")
	}
	dir, err := state.NewDir(cfg, quiet(), prometheus.NewRegistry())
	must(b, err)
	b.Cleanup(dir.Close)
	m := newMachine(b, benchPartitions, dir, newFakeRegistry(), sink)
	for _, next := range m.next {
		if next < benchTouches/benchPartitions*9/10 {
			m.fill(b)
			break
		}
	}
	return m
}

func (m *machine) fill(b *testing.B) {
	c, began := newCrowd(1), time.Now()
	sink := m.deps.Sink
	m.deps.Sink = noSink{}
	defer func() { m.deps.Sink = sink }()
	n := 0
	for _, next := range m.next {
		n += int(next)
	}
	for c.seq = n; n < benchTouches; {
		for range 80_000 {
			n++
			c.now = begin + int64(n)*(benchDays*24*60*minute/benchTouches)
			m.now = c.now
			to, e := c.touch(c.person())
			m.add(b, to, e)
		}
		m.run(b)
	}
	b.Logf("filled in %s", time.Since(began).Round(time.Second))
}

func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func benchApply(b *testing.B, sink Sink) {
	m := benchMachine(b, sink)
	c := newCrowd(uint64(time.Now().UnixNano()))
	c.seq = int(time.Now().UnixNano())
	c.now = begin + benchDays*24*60*minute
	const events = 80_000
	records, used, spent := 0, time.Duration(0), time.Duration(0)
	add := func() {
		for i := range events {
			c.now += 1
			m.now = c.now
			to, e := c.touch(c.person())
			if i%50 == 0 {
				to, e = c.purchase(c.person())
			}
			m.add(b, to, e)
		}
	}
	for range benchWarmUp {
		add()
		m.run(b)
	}
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		add()
		b.StartTimer()
		before, began := cpu(), time.Now()
		records += m.run(b)
		used, spent = used+cpu()-before, spent+time.Since(began)
	}
	b.ReportMetric(float64(b.N)*events/spent.Seconds(), "events/s")
	b.ReportMetric(float64(records)/float64(b.N)/events, "records/event")
	b.ReportMetric(float64(used.Microseconds())/float64(b.N)/events, "cpu-us/event")
}

// BenchmarkApply decodes, applies and commits events of which one in fifty is a purchase, with the benchmarks' state; rows
// go nowhere.
func BenchmarkApply(b *testing.B) { benchApply(b, noSink{}) }

// BenchmarkProtocol does so with rows inserted into ClickHouse.
func BenchmarkProtocol(b *testing.B) { benchApply(b, storetest.Open(b)) }
