package attribution

import (
	"fmt"
	"math/rand/v2"
	"testing"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/event"
)

// benchBatch is how many records are applied between commits.
const benchBatch = 10_000

// BenchmarkApply applies what sites send (85 % impressions, 12 % visits and clicks, 2 % conversions, 1 % identify) to
// people who have 20 touches on average, few of them most (Zipf). Decoding is not part of it; messages are applied too.
// An operation is one event.
func BenchmarkApply(b *testing.B) {
	for _, people := range []int{1_000, 20_000} {
		for _, cache := range []int64{1 << 30, 8 << 20} {
			b.Run(fmt.Sprintf("people=%d/cache=%dMiB", people, cache>>20), func(b *testing.B) { benchApply(b, people, cache) })
		}
	}
}

func benchApply(b *testing.B, people int, cache int64) {
	store := newMemStore()
	core, err := NewPartition(store, simTerms(), Config{CacheBytes: cache})
	if err != nil {
		b.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	zipf := rand.NewZipf(rng, 1.1, float64(people)/100, uint64(people-1))
	bench := &benchLog{core: core, store: store}
	records := make([]event.Record, benchBatch)
	n := 0
	fill := func() {
		for i := range records {
			records[i] = benchRecord(b, rng, n, int(zipf.Uint64()))
			n++
		}
	}
	for range 20 * people / benchBatch {
		fill()
		bench.batch(b, records)
	}
	fill()
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		if i == len(records) {
			b.StopTimer()
			bench.commit(b)
			fill()
			i = 0
			b.StartTimer()
		}
		bench.apply(b, &records[i])
		i++
	}
	b.ReportMetric(float64(bench.rows)/float64(bench.offset), "rows/record")
}

// benchLog applies records and the messages that follow from them.
type benchLog struct {
	core   *Partition
	store  *memStore
	out    Effects
	offset int64
	rows   int
}

func (l *benchLog) apply(b *testing.B, rec *event.Record) {
	rec.Position = event.Position{Epoch: 1, Offset: l.offset}
	l.offset++
	n := len(l.out.Messages)
	if err := l.core.Apply(rec, &l.out); err != nil {
		b.Fatal(err)
	}
	for n < len(l.out.Messages) {
		var m event.Record
		if err := event.Decode([]byte(l.out.Messages[n].To.Key()), l.out.Messages[n].Value, &m); err != nil {
			b.Fatal(err)
		}
		m.Timestamp, m.Position = rec.Timestamp, event.Position{Epoch: 1, Offset: l.offset}
		l.offset++
		n++
		if err := l.core.Apply(&m, &l.out); err != nil {
			b.Fatal(err)
		}
	}
}

func (l *benchLog) commit(b *testing.B) {
	l.rows += len(l.out.Facts) + len(l.out.Journeys)
	l.out.Reset()
	if err := l.core.Commit(l.store); err != nil {
		b.Fatal(err)
	}
	clear(l.store.events)
}

func (l *benchLog) batch(b *testing.B, records []event.Record) {
	for i := range records {
		l.apply(b, &records[i])
	}
	l.commit(b)
}

func benchRecord(b *testing.B, rng *rand.Rand, n, person int) event.Record {
	at := event.Time(simStart + int64(n)*50)
	e := &aftertouchv1.Event{
		EventId: fmt.Sprintf("0198c0de-7000-7000-8000-%012d", n), VisitorId: fmt.Sprintf("visitor-%08d", person), EventTime: at,
		Stamps: &aftertouchv1.Stamps{
			ReceivedTime: at, Source: aftertouchv1.Stamps_browser, Country: "DE", DeviceClass: "mobile",
			Terms: &aftertouchv1.Terms{AgreementId: "standard", AgreementVersion: 1, CampaignId: "spring", CreatorId: fmt.Sprintf("creator-%d", n%50)},
		},
	}
	switch r := rng.IntN(100); {
	case r < 85:
		e.Placement = fmt.Sprintf("placement-%d", n%50)
		e.Kind = &aftertouchv1.Event_Impression{Impression: &aftertouchv1.Impression{Viewability: aftertouchv1.Impression_viewable}}
	case r < 91:
		e.Link = fmt.Sprintf("link-%d", n%50)
		e.Kind = &aftertouchv1.Event_Click{Click: &aftertouchv1.Click{}}
	case r < 97:
		e.Link = fmt.Sprintf("link-%d", n%50)
		e.Kind = &aftertouchv1.Event_Visit{Visit: &aftertouchv1.Visit{}}
	case r < 99:
		e.Kind = &aftertouchv1.Event_Conversion{Conversion: &aftertouchv1.Conversion{
			Action: "purchase", OrderId: fmt.Sprint(n), ValueMinor: 4999, Currency: "EUR",
		}}
		if r == 98 {
			e.UserKey = fmt.Sprintf("%032x", person/2)
		}
	default:
		e.UserKey = fmt.Sprintf("%032x", person/2)
		e.Kind = &aftertouchv1.Event_Identify{Identify: &aftertouchv1.Identify{}}
	}
	value, err := event.EncodeEvent(e)
	if err != nil {
		b.Fatal(err)
	}
	var rec event.Record
	if err := event.Decode([]byte(event.AddressOf("shop", e).Key()), value, &rec); err != nil {
		b.Fatal(err)
	}
	rec.Timestamp = event.Millis(at)
	return rec
}

// BenchmarkImpression applies impressions to people who are in memory and have about 20 touches.
func BenchmarkImpression(b *testing.B) {
	core, err := NewPartition(newMemStore(), simTerms(), Default())
	if err != nil {
		b.Fatal(err)
	}
	bench := &benchLog{core: core, store: newMemStore()}
	rng := rand.New(rand.NewPCG(1, 1))
	const people = 500
	records := make([]event.Record, 0, 25*people)
	for n := 0; len(records) < cap(records); n++ {
		rec := benchRecord(b, rng, n, n%people)
		if rec.Event.GetImpression() != nil {
			records = append(records, rec)
		}
	}
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		if i == len(records) {
			b.StopTimer()
			if core, err = NewPartition(newMemStore(), simTerms(), Default()); err != nil {
				b.Fatal(err)
			}
			bench.core, i = core, 0
			bench.out.Reset()
			b.StartTimer()
		}
		bench.apply(b, &records[i])
		i++
	}
}
