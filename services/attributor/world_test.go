package attributor

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/event"
	"github.com/aftertouch-io/aftertouch/internal/eventlog"
)

const shop = "shop"

// begin is when the world's history begins.
var begin = time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC).UnixMilli()

const minute = 60_000

// world makes the stamped events of a few people over some days: touches of all kinds, redirects and their adoption,
// orders told by browser and server, log-ins, duplicates, and some order in time that is not the order in the log.
type world struct {
	rng      *rand.Rand
	recs     []eventlog.Record
	entities map[string]bool
	now      int64
}

func newWorld(seed uint64) *world {
	return &world{rng: rand.New(rand.NewPCG(seed, 7)), entities: map[string]bool{}, now: begin}
}

func makeWorld(t testing.TB, seed uint64, n int) *world {
	t.Helper()
	w := newWorld(seed)
	for i := range n {
		w.now += int64(w.rng.IntN(20)) * minute
		w.event(t, fmt.Sprintf("e%d", i))
		if w.rng.IntN(15) == 0 && len(w.recs) > 0 {
			w.recs = append(w.recs, w.recs[w.rng.IntN(len(w.recs))])
		}
	}
	return w
}

func (w *world) event(t testing.TB, id string) {
	visitor, user := fmt.Sprintf("v%d", w.rng.IntN(10)), fmt.Sprintf("u%d", w.rng.IntN(4))
	e := &aftertouchv1.Event{EventId: id, VisitorId: visitor, EventTime: event.Time(w.now - int64(w.rng.IntN(300))*minute)}
	e.Stamps = &aftertouchv1.Stamps{ReceivedTime: event.Time(w.now), Source: aftertouchv1.Stamps_browser, WorkspaceVersion: 1, RegistryOffset: 1}
	agreement := w.rng.IntN(3)
	touch := func() {
		e.Stamps.Terms = &aftertouchv1.Terms{
			AgreementId: fmt.Sprintf("a%d", agreement), AgreementVersion: 1, CampaignId: "spring", CreatorId: fmt.Sprintf("c%d", agreement),
		}
		e.Link = fmt.Sprintf("l%d", agreement)
	}
	to := event.VisitorAddress(shop, visitor)
	switch w.rng.IntN(12) {
	case 0, 1:
		touch()
		e.Kind = &aftertouchv1.Event_Click{Click: &aftertouchv1.Click{}}
	case 2, 3:
		touch()
		e.Kind = &aftertouchv1.Event_Visit{Visit: &aftertouchv1.Visit{SessionStart: true}}
	case 4, 5:
		touch()
		e.Kind = &aftertouchv1.Event_Impression{Impression: &aftertouchv1.Impression{Viewability: aftertouchv1.Impression_viewable, VisibleMs: 1500}}
	case 6:
		touch()
		e.Kind = &aftertouchv1.Event_Engagement{Engagement: &aftertouchv1.Engagement{Type: "like"}}
	case 7:
		w.redirect(t, e, id, agreement)
		touch()
		e.Kind = &aftertouchv1.Event_Visit{Visit: &aftertouchv1.Visit{}}
	case 8:
		e.UserKey = user
		e.Kind = &aftertouchv1.Event_Identify{Identify: &aftertouchv1.Identify{}}
	default:
		to = w.conversion(e, user)
	}
	w.add(t, to, e)
}

// redirect makes the click of a redirect a minute before, whose token the event bears.
func (w *world) redirect(t testing.TB, e *aftertouchv1.Event, id string, agreement int) {
	at := event.Millis(e.EventTime) - minute
	click := &aftertouchv1.Event{
		EventId: "k" + id, EventTime: event.Time(at), Link: fmt.Sprintf("l%d", agreement),
		Kind: &aftertouchv1.Event_Click{Click: &aftertouchv1.Click{}},
		Stamps: &aftertouchv1.Stamps{
			ReceivedTime: event.Time(at), Source: aftertouchv1.Stamps_browser, WorkspaceVersion: 1, RegistryOffset: 1,
			Terms: &aftertouchv1.Terms{AgreementId: fmt.Sprintf("a%d", agreement), AgreementVersion: 1, CampaignId: "spring", CreatorId: fmt.Sprintf("c%d", agreement)},
		},
	}
	w.add(t, event.ClickAddress(shop, click.EventId), click)
	e.Stamps.Click = &aftertouchv1.ClickRef{EventId: click.EventId, Time: event.Time(at), LinkId: click.Link, AgreementVersion: 1}
}

func (w *world) conversion(e *aftertouchv1.Event, user string) event.Address {
	if w.rng.IntN(2) == 0 {
		e.UserKey = user
	}
	if w.rng.IntN(3) == 0 {
		e.Stamps.Source = aftertouchv1.Stamps_server
		e.VisitorId = ""
		e.UserKey = user
	}
	order := fmt.Sprintf("o%d", w.rng.IntN(25))
	c := &aftertouchv1.Conversion{Action: "purchase", OrderId: order, ValueMinor: int64(1000 + w.rng.IntN(9000)), Currency: "EUR"}
	e.Kind = &aftertouchv1.Event_Conversion{Conversion: c}
	return event.OrderAddress(shop, c.Action, "", order)
}

func (w *world) add(t testing.TB, to event.Address, e *aftertouchv1.Event) {
	t.Helper()
	value, err := event.EncodeEvent(e)
	must(t, err)
	w.recs = append(w.recs, eventlog.Record{Key: []byte(to.Key()), Value: value})
	w.entities[to.Key()] = true
}

func parse(t testing.TB, key string) event.Address {
	t.Helper()
	a, err := event.ParseKey(key)
	must(t, err)
	return a
}
