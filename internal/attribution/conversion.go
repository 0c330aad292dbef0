package attribution

import (
	"cmp"
	"slices"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/event"
)

// conversion is what a person knows of one order: what the order said last (D4).
type conversion struct {
	order    string
	position event.Position
	owned    bool
	// canonical is nil when the conversion is not owned.
	canonical *aftertouchv1.CanonicalConversion
	// written is a hash of the newest journey written, 0 when there is none, and writtenTime its conversion's time.
	written     uint64
	writtenTime int64
	seenDay     uint16

	// Of the step: whether the journey may change, and what the order said.
	stale    bool
	cause    string
	previous int64
}

// applyOwned records that this person owns a conversion, or passes it on to the user that does.
func (v *person) applyOwned(p *Partition, m *aftertouchv1.ConversionOwned) {
	if !v.takesConversion(m.GetConversion().GetOrder()) {
		return
	}
	if m.PassTo != "" {
		v.step.cause = CauseIdentity
		v.addLink(p, m.PassTo)
		v.step.pass = m
		return
	}
	v.step.cause = CauseOrderMerge
	c := v.conversionOf(p, m.Conversion.Order)
	at := positionOf(m.Conversion.OrderPosition)
	if !c.isNew() && !at.After(c.position) {
		return
	}
	v.removeConversion(c)
	c.position, c.owned, c.canonical = at, true, m.Conversion
	c.cause, c.previous = cmp.Or(m.Cause, CauseOrderMerge), m.PreviousTime
	v.insertConversion(c)
	p.keepConversion(v, c)
}

// applyReleased records that this person does not own a conversion any more.
func (v *person) applyReleased(p *Partition, m *aftertouchv1.ConversionReleased) {
	if !v.takesConversion(m.GetOrder()) {
		return
	}
	v.step.cause = CauseOrderMerge
	c := v.conversionOf(p, m.Order)
	at := positionOf(m.OrderPosition)
	if !c.isNew() && !at.After(c.position) {
		return
	}
	v.removeConversion(c)
	c.position, c.owned, c.canonical, c.written, c.writtenTime = at, false, nil, 0, 0
	p.keepConversion(v, c)
}

// takesConversion reports whether the person can own a conversion of that order.
func (v *person) takesConversion(order string) bool {
	a, err := event.ParseLocal(v.addr.Workspace, order)
	return err == nil && a.Kind == event.Order && !v.addr.IsPseudo()
}

func (c *conversion) isNew() bool { return c.position == event.Position{} }

func (v *person) conversionOf(p *Partition, order string) *conversion {
	c := v.conversionBy[order]
	if c == nil {
		c = &conversion{order: order, seenDay: p.clock.day()}
		if v.conversionBy == nil {
			v.conversionBy = map[string]*conversion{}
		}
		v.conversionBy[order] = c
		v.oldestDay = min(v.oldestDay, c.seenDay)
	}
	return c
}

// insertConversion puts an owned conversion in its place in A5 order.
func (v *person) insertConversion(c *conversion) {
	i, _ := slices.BinarySearchFunc(v.conversions, c, compareConversions)
	v.conversions = slices.Insert(v.conversions, i, c)
	v.staleDay(c.canonical.Time)
	c.stale = true
}

// removeConversion takes a conversion out of the order.
func (v *person) removeConversion(c *conversion) {
	if !c.owned {
		return
	}
	i := slices.Index(v.conversions, c)
	v.conversions = slices.Delete(v.conversions, i, i+1)
	v.staleDay(c.canonical.Time)
}

// staleDay marks the conversions next to the cut of a UTC day: one that came or went moves one of them over it.
func (v *person) staleDay(time int64) {
	v.step.journeys = true
	start := time - time%day
	i, _ := slices.BinarySearchFunc(v.conversions, start, func(c *conversion, start int64) int {
		if c.canonical.Time < start {
			return -1
		}
		return 1
	})
	for j := i + cutConversions - 1; j <= i+cutConversions && j < len(v.conversions); j++ {
		v.conversions[j].stale = true
	}
}

func compareConversions(a, b *conversion) int {
	x, y := a.canonical, b.canonical
	return cmp.Or(cmp.Compare(x.Time, y.Time), cmp.Compare(x.ReceivedTime, y.ReceivedTime),
		cmp.Compare(x.EventId, y.EventId), cmp.Compare(a.order, b.order))
}

// passConversion sends a conversion on to the user that owns it, after this visitor's touches (D4).
func (v *person) passConversion(p *Partition) {
	m := v.step.pass
	if m == nil {
		return
	}
	to, err := event.ParseLocal(v.addr.Workspace, m.PassTo)
	if err != nil || to.Kind != event.User {
		return
	}
	p.send(v.local, to, &aftertouchv1.Message{Body: &aftertouchv1.Message_Owned{Owned: &aftertouchv1.ConversionOwned{
		Conversion: m.Conversion, Cause: m.Cause, PreviousTime: m.PreviousTime,
	}}})
}

// markStale marks the conversions whose journeys may see a touch that changed.
func (v *person) markStale() {
	s := &v.step
	for i := range s.touches {
		c := &s.touches[i]
		if c.isNew || c.content || c.was != c.touch.verdict {
			if c.was == isNoTouch && c.touch.verdict == isNoTouch {
				continue
			}
			s.touchedAt(c.time)
			s.touchedAt(c.touch.time)
		}
	}
	if !s.touched {
		return
	}
	for i := len(v.conversions) - 1; i >= 0; i-- {
		c := v.conversions[i]
		if c.canonical.Time < s.from {
			break
		}
		if c.canonical.Time <= s.to+maxWindow {
			c.stale, s.journeys = true, true
		}
	}
}

// restate writes the journeys that the step changed.
func (v *person) restate(p *Partition) {
	v.markStale()
	if !v.step.journeys {
		return
	}
	for i, c := range v.conversions {
		if c.stale {
			v.writeJourney(p, i)
			c.stale, c.cause, c.previous = false, "", 0
		}
	}
}
