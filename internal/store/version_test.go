package store_test

import (
	"math"
	"testing"
	"time"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/google/go-cmp/cmp"

	"github.com/aftertouch-io/aftertouch/internal/attribution"
	"github.com/aftertouch-io/aftertouch/internal/event"
	"github.com/aftertouch-io/aftertouch/internal/store"
	"github.com/aftertouch-io/aftertouch/internal/store/storetest"
)

func fact(receivedTime int64, hash uint64, epoch uint16, changed int64) *attribution.Fact {
	return &attribution.Fact{
		ReceivedTime: receivedTime, PayloadHash: hash, ChangedOffset: changed, Cause: event.Position{Epoch: epoch, Offset: changed},
	}
}

func TestFactVersionsOrder(t *testing.T) {
	const now = 1_800_000_000_000
	for _, c := range []struct {
		name          string
		lower, higher *attribution.Fact
	}{
		{"received first wins", fact(now+1, 0, 2, 9), fact(now, math.MaxUint64, 1, 1)},
		{"then the smallest payload hash", fact(now, 0x0002<<48, 2, 9), fact(now, 0x0001<<48, 1, 1)},
		{"then the newest epoch", fact(now, 7<<48, 1, 1<<40), fact(now, 7<<48, 2, 0)},
		{"then the newest change", fact(now, 7<<48, 1, 5), fact(now, 7<<48, 1, 6)},
		{"only 16 bits of the hash count", fact(now, 7<<48|9, 1, 5), fact(now, 7<<48|3, 1, 6)},
		{"at the greatest offset", fact(now, 7<<48, 1, 1<<48-2), fact(now, 7<<48, 1, 1<<48-1)},
	} {
		if got := store.FactVersion(c.lower).Compare(store.FactVersion(c.higher)); got != -1 {
			t.Errorf("%s: compare is %d, want -1", c.name, got)
		}
	}
}

func TestFactVersionsLayout(t *testing.T) {
	got := store.FactVersion(fact(0x0123456789ab, 0xfedc<<48, 0x1111, 0x222222222222))
	want := store.Version{High: 0xfedcba987654<<16 | 0x0123, Low: 0x1111<<48 | 0x222222222222}
	if got != want {
		t.Errorf("version is %x, want %x", got, want)
	}
}

func journey(order, cause event.Position) *attribution.Journey {
	return &attribution.Journey{OrderPosition: order, Position: cause}
}

func at(epoch uint16, offset int64) event.Position {
	return event.Position{Epoch: epoch, Offset: offset}
}

func TestJourneyVersionsOrder(t *testing.T) {
	for _, c := range []struct {
		name          string
		lower, higher *attribution.Journey
	}{
		{"a newer conversion wins, whoever the person is", journey(at(1, 5), at(1, 900)), journey(at(1, 6), at(1, 2))},
		{"then the newest cause", journey(at(1, 5), at(1, 900)), journey(at(1, 5), at(1, 901))},
		{"a newer epoch wins", journey(at(1, 1<<40), at(1, 1<<40)), journey(at(1, 1<<40), at(2, 3))},
		{"a conversion of the epoch beats one before it", journey(at(1, 1<<40), at(2, 3)), journey(at(2, 1), at(2, 4))},
	} {
		if got := store.JourneyVersion(c.lower).Compare(store.JourneyVersion(c.higher)); got != -1 {
			t.Errorf("%s: compare is %d, want -1", c.name, got)
		}
	}
}

func TestJourneyVersionsLayout(t *testing.T) {
	got := store.JourneyVersion(journey(at(0x1111, 0x222222222222), at(0x1111, 0x333333333333)))
	want := store.Version{High: 0x1111<<48 | 0x222222222222, Low: 0x333333333333<<16 | attribution.RulesVersion}
	if got != want {
		t.Errorf("version is %x, want %x", got, want)
	}
}

// TestTheWinningRecordIsRead writes records of one event in every order, in inserts of their own and in one.
func TestTheWinningRecordIsRead(t *testing.T) {
	s := storetest.Open(t)
	record := func(page string, received time.Duration, hash uint64, changed int64) attribution.Fact {
		f := storetest.Touch("event-1", 0)
		f.Event.PageUrl = page
		f.ReceivedTime, f.PayloadHash, f.ChangedOffset = storetest.At(received), hash, changed
		f.Cause.Offset = changed
		return f
	}
	all := []attribution.Fact{
		record("late", 2*time.Second, 1<<48, 3),
		record("greater-hash", time.Second, 9<<48, 2),
		record("winner-before-its-duplicates", time.Second, 1<<48, 1),
		record("winner", time.Second, 1<<48, 4),
	}
	for _, order := range [][]int{{0, 1, 2, 3}, {3, 2, 1, 0}, {2, 0, 3, 1}, {1, 3, 0, 2}} {
		for _, together := range []bool{false, true} {
			if err := s.Conn().Exec(storetest.Context(t), "TRUNCATE TABLE facts"); err != nil {
				t.Fatal(err)
			}
			b := storetest.Batch()
			b.Effects = &attribution.Effects{}
			for _, i := range order {
				b.Effects.Facts = append(b.Effects.Facts, all[i])
				if !together {
					storetest.Insert(t, s, b)
					b.Effects.Facts = nil
				}
			}
			storetest.Insert(t, s, b)
			if got := texts(t, s, "SELECT page_url FROM facts FINAL"); !cmp.Equal(got, []string{"winner"}) {
				t.Errorf("order %v, in one insert %v: read %v", order, together, got)
			}
		}
	}
}

// TestTheNewestJourneyIsRead covers an order whose person changes: the person that the older conversion had writes last.
func TestTheNewestJourneyIsRead(t *testing.T) {
	s := storetest.Open(t)
	version := func(person string, order, cause int64) attribution.Journey {
		j := storetest.Journey("1001", time.Hour, cause, "ann")
		j.Person = event.VisitorAddress(storetest.Workspace, person)
		j.OrderPosition.Offset = order
		return j
	}
	first, touched, merged := version("v1", 10, 20), version("v1", 10, 70), version("v2", 50, 5)
	for _, order := range [][]attribution.Journey{{first, touched, merged}, {merged, touched, first}, {touched, merged, first}} {
		for _, table := range []string{"journeys", "journey_changes"} {
			if err := s.Conn().Exec(storetest.Context(t), "TRUNCATE TABLE "+table); err != nil {
				t.Fatal(err)
			}
		}
		b := storetest.Batch()
		b.Effects = &attribution.Effects{Journeys: order}
		storetest.Insert(t, s, b)
		if got := texts(t, s, "SELECT person FROM journeys FINAL"); !cmp.Equal(got, []string{"v:v2"}) {
			t.Errorf("read the journey of %v, want v:v2", got)
		}
		want := []string{"v:v1 20", "v:v1 70", "v:v2 5"}
		if got := texts(t, s, "SELECT concat(person, ' ', toString(cause_offset)) FROM journey_changes FINAL ORDER BY version"); !cmp.Equal(got, want) {
			t.Errorf("changes are %v, want %v", got, want)
		}
	}
}

func TestExposure(t *testing.T) {
	s := storetest.Open(t)
	viewed := func(v aftertouchv1.Impression_Viewability, counts bool) attribution.Fact {
		f := storetest.Touch(v.String(), 0)
		f.Event.Kind = &aftertouchv1.Event_Impression{Impression: &aftertouchv1.Impression{Viewability: v}}
		f.Kind, f.CountUnmeasured = event.KindImpression, counts
		if counts {
			f.Event.EventId += "-counted"
		}
		return f
	}
	with := func(id string, change func(*attribution.Fact)) attribution.Fact {
		f := storetest.Touch(id, 0)
		change(&f)
		return f
	}
	b := storetest.Batch()
	b.Effects = &attribution.Effects{Facts: []attribution.Fact{
		with("click", func(*attribution.Fact) {}),
		with("late-click", func(f *attribution.Fact) { f.Flags = []string{event.FlagLate, event.FlagNotInForce} }),
		with("robot", func(f *attribution.Fact) { f.Flags = []string{event.FlagRobot} }),
		with("denied", func(f *attribution.Fact) { f.Flags = []string{event.FlagNoConsent} }),
		with("nobody's", func(f *attribution.Fact) { f.Event.Stamps.Terms = nil }),
		viewed(aftertouchv1.Impression_viewable, false), viewed(aftertouchv1.Impression_not_viewable, true),
		viewed(aftertouchv1.Impression_unmeasured, false), viewed(aftertouchv1.Impression_unmeasured, true),
	}}
	storetest.Insert(t, s, b)
	want := []string{"click", "late-click", "unmeasured-counted", "viewable"}
	if got := texts(t, s, "SELECT event_id FROM facts FINAL WHERE exposes ORDER BY event_id"); !cmp.Equal(got, want) {
		t.Errorf("exposing events are %v, want %v", got, want)
	}
}
