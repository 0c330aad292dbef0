package attribution

import (
	"fmt"
	"math/rand/v2"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/event"
)

// simStart is when the simulated world begins: 2026-03-01T00:00:00Z.
const simStart = 1772323200000

// simTerms are three agreements: one with the defaults, one with view-through, one with short windows.
func simTerms() fixedTerms {
	standard := AgreementTerms{
		ClickWindow: 30 * day, VisitWindow: 30 * day, EngagementWindow: 7 * day, ImpressionWindow: day, HalfLife: 7 * day,
	}
	view := standard
	view.ViewThrough, view.CountUnmeasured, view.HalfLife = true, true, day
	short := standard
	short.ClickWindow, short.VisitWindow, short.EngagementWindow, short.ViewThrough = hour, 2*hour, hour, true
	return fixedTerms{"standard@1": standard, "view@1": view, "view@2": standard, "short@1": short}
}

// world makes random events of a few people, so that everything happens to everybody.
type world struct {
	rng     *rand.Rand
	events  []external
	density int
	next    int
}

func pick[T any](rng *rand.Rand, all ...T) T { return all[rng.IntN(len(all))] }

func (w *world) time() int64 {
	switch w.rng.IntN(8) {
	case 0:
		return simStart + int64(w.rng.IntN(40))*day
	case 1:
		return simStart + 10*day + int64(w.rng.IntN(20))*halfHour
	default:
		return simStart + 10*day + int64(w.rng.IntN(w.density))*minute
	}
}

func (w *world) terms() *aftertouchv1.Terms {
	switch w.rng.IntN(12) {
	case 0:
		return nil
	case 1:
		return &aftertouchv1.Terms{AgreementId: "standard", CampaignId: "k", CreatorId: "ann"}
	}
	a := pick(w.rng, "standard", "view", "view", "short")
	t := &aftertouchv1.Terms{AgreementId: a, AgreementVersion: 1, CampaignId: "k", CreatorId: "by-" + a}
	if a == "view" && w.rng.IntN(3) == 0 {
		t.AgreementVersion = 2
	}
	return t
}

func (w *world) visitor() string {
	if w.rng.IntN(6) == 0 {
		return ""
	}
	return fmt.Sprintf("v%d", w.rng.IntN(4))
}

func (w *world) user() string {
	if w.rng.IntN(4) != 0 {
		return ""
	}
	return fmt.Sprintf("u%d", w.rng.IntN(2))
}

// clickRef returns one of a few tokens; what a token says never changes.
func (w *world) clickRef() (*aftertouchv1.ClickRef, *aftertouchv1.Terms) {
	n := w.rng.IntN(4)
	ref := &aftertouchv1.ClickRef{
		EventId: fmt.Sprintf("click%d", n), Time: event.Time(simStart + 10*day + int64(n)*17*minute), LinkId: fmt.Sprintf("L%d", n%2),
		AgreementVersion: 1,
	}
	if n%2 == 1 {
		ref.VisitorId = fmt.Sprintf("v%d", n)
	}
	return ref, &aftertouchv1.Terms{AgreementId: "standard", AgreementVersion: 1, CampaignId: "k", CreatorId: "by-standard"}
}

func (w *world) stamp(e *aftertouchv1.Event, time int64) {
	received := time + int64(w.rng.IntN(3))*1000
	switch w.rng.IntN(40) {
	case 0:
		received += 31 * day
	case 1:
		received += 95 * day
	}
	e.EventTime = event.Time(time)
	e.Stamps = &aftertouchv1.Stamps{
		ReceivedTime: event.Time(received), Source: pick(w.rng, aftertouchv1.Stamps_browser, aftertouchv1.Stamps_server), Terms: w.terms(),
	}
	if w.rng.IntN(25) == 0 {
		e.Stamps.Flags = append(e.Stamps.Flags, event.FlagRobot)
	}
	if e.Stamps.Terms != nil && e.Stamps.Terms.AgreementVersion == 0 {
		e.Stamps.Flags = append(e.Stamps.Flags, event.FlagNotInForce)
	}
	if e.GetIdentify() == nil && w.rng.IntN(3) == 0 {
		ref, terms := w.clickRef()
		e.Stamps.Click, e.Stamps.Terms = ref, terms
	}
}

// id returns a new event id, or now and then one of the last few: another record of the same event.
func (w *world) id() string {
	if w.next > 0 && w.rng.IntN(8) == 0 {
		return fmt.Sprintf("e%d", w.next-1-w.rng.IntN(min(w.next, 6)))
	}
	w.next++
	return fmt.Sprintf("e%d", w.next-1)
}

func (w *world) touch() *aftertouchv1.Event {
	e := &aftertouchv1.Event{EventId: w.id(), VisitorId: w.visitor(), UserKey: w.user()}
	if w.rng.IntN(2) == 0 {
		e.Link = fmt.Sprintf("L%d", w.rng.IntN(2))
	} else {
		e.Placement = fmt.Sprintf("P%d", w.rng.IntN(14))
	}
	switch w.rng.IntN(7) {
	case 0, 1:
		e.Kind = &aftertouchv1.Event_Impression{Impression: &aftertouchv1.Impression{
			Viewability: aftertouchv1.Impression_Viewability(w.rng.IntN(3)),
		}}
	case 2:
		e.Kind = &aftertouchv1.Event_Engagement{Engagement: &aftertouchv1.Engagement{Type: "like"}}
	case 3, 4:
		e.Kind = &aftertouchv1.Event_Visit{Visit: &aftertouchv1.Visit{}}
	case 5:
		e.Kind = &aftertouchv1.Event_Click{Click: &aftertouchv1.Click{}}
	default:
		e.Kind = &aftertouchv1.Event_Identify{Identify: &aftertouchv1.Identify{}}
	}
	w.stamp(e, w.time())
	return e
}

// redirect returns a redirect's own click.
func (w *world) redirect() *aftertouchv1.Event {
	ref, terms := w.clickRef()
	e := &aftertouchv1.Event{
		EventId: ref.EventId, VisitorId: ref.VisitorId, Link: ref.LinkId, EventTime: ref.Time,
		Kind: &aftertouchv1.Event_Click{Click: &aftertouchv1.Click{}},
		Stamps: &aftertouchv1.Stamps{
			ReceivedTime: event.Time(event.Millis(ref.Time) + int64(w.rng.IntN(3))), Terms: terms, Click: ref,
		},
	}
	if w.rng.IntN(6) == 0 {
		e.Stamps.Flags = []string{event.FlagRobot}
	}
	return e
}

func (w *world) conversion() *aftertouchv1.Event {
	c := &aftertouchv1.Conversion{Action: "purchase", ValueMinor: int64(w.rng.IntN(3)) * 3333}
	if c.ValueMinor > 0 {
		c.Currency = "EUR"
	}
	if w.rng.IntN(6) != 0 {
		c.OrderId = fmt.Sprintf("o%d", w.rng.IntN(5))
	}
	e := &aftertouchv1.Event{
		EventId: w.id(), VisitorId: w.visitor(), UserKey: w.user(), Kind: &aftertouchv1.Event_Conversion{Conversion: c},
	}
	w.stamp(e, w.time()+int64(w.rng.IntN(4))*hour)
	if w.rng.IntN(5) == 0 {
		c.PromoCodes = []string{"ANN10", "X"}[:1+w.rng.IntN(2)]
		e.Stamps.CodeTerms = []*aftertouchv1.CodeTerms{{Code: "ANN10", Terms: w.terms()}}
	}
	if w.rng.IntN(30) == 0 {
		e.VisitorId, e.UserKey = "", ""
		e.Stamps.Flags = append(e.Stamps.Flags, event.FlagNoConsent)
	}
	return e
}

func (w *world) make(n int) []external {
	for range n {
		var e *aftertouchv1.Event
		switch w.rng.IntN(10) {
		case 0, 1:
			e = w.conversion()
		case 2:
			e = w.redirect()
		default:
			e = w.touch()
		}
		w.events = append(w.events, external{event.AddressOf("shop", e), e})
		if w.rng.IntN(12) == 0 {
			w.events = append(w.events, w.events[w.rng.IntN(len(w.events))])
		}
	}
	return w.events
}

// burst adds what is over the bounds of A12: touches of one visitor in one hour, or conversions of one person on one day.
func (w *world) burst() {
	start := int64(simStart + 10*day)
	if w.rng.IntN(3) == 0 {
		user := pick(w.rng, "", "u1")
		for i := range cutConversions + 5 {
			e := w.conversion()
			e.GetConversion().OrderId = fmt.Sprintf("b%d", i)
			e.VisitorId, e.UserKey = "v1", user
			e.Stamps.Flags = nil
			e.EventTime = event.Time(start + int64(w.rng.IntN(12*60))*minute)
			e.Stamps.ReceivedTime = e.EventTime
			w.events = append(w.events, external{event.AddressOf("shop", e), e})
		}
		return
	}
	kind := w.rng.IntN(2)
	for range 50 {
		e := w.touch()
		e.VisitorId, e.Stamps.Flags = "v1", nil
		e.Stamps.Terms = &aftertouchv1.Terms{AgreementId: "view", AgreementVersion: 1, CampaignId: "k", CreatorId: "by-view"}
		e.Placement = fmt.Sprintf("P%d", w.rng.IntN(40))
		e.Kind = &aftertouchv1.Event_Impression{Impression: &aftertouchv1.Impression{}}
		if kind == 1 {
			e.Kind = &aftertouchv1.Event_Visit{Visit: &aftertouchv1.Visit{}}
		}
		e.EventTime = event.Time(start + int64(w.rng.IntN(70))*minute)
		e.Stamps.ReceivedTime = e.EventTime
		w.events = append(w.events, external{event.AddressOf("shop", e), e})
	}
}
