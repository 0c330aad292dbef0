package attribution

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/event"
)

// candidate is a touch as one conversion sees it.
type candidate struct {
	touch    *touch
	verdict  verdict
	reason   string
	halfLife int64
}

// seen is what a journey is made of.
type seen struct {
	candidates []candidate
	omitted    map[string]uint32
	eligible   int
}

// writeJourney makes the journey of the owned conversion at index i, and writes it when it differs from the last one.
func (v *person) writeJourney(p *Partition, i int) {
	c := v.conversions[i]
	j := Journey{Order: orderAddress(v.addr.Workspace, c.order), Person: v.addr, Conversion: c.canonical}
	var s seen
	if v.isCutConversion(i) {
		j.Status, j.Reason = Unattributed, ReasonCut
	} else {
		s = v.see(p, c.canonical)
		j.settle(&s, ReasonNoTouch)
	}
	hash := p.journeyHash(&j, &s)
	if hash == c.written {
		return
	}
	j.Cause = cmp.Or(c.cause, v.step.cause)
	j.OrderPosition, j.Position = c.position, p.rec.Position
	if last := cmp.Or(c.writtenTime, c.previous); last != c.canonical.Time {
		j.PreviousTime = last
	}
	j.Touches, j.Omitted = s.rows(c.canonical), s.omitted
	p.out.Journeys = append(p.out.Journeys, j)
	c.written, c.writtenTime = hash, c.canonical.Time
	p.keepWritten(v, c)
}

func orderAddress(workspace, local string) event.Address {
	a, err := event.ParseLocal(workspace, local)
	if err != nil {
		panic("BUG: order without an address")
	}
	return a
}

// settle gives the journey its status from the touches that it sees; empty is the reason when there are none at all.
func (j *Journey) settle(s *seen, empty string) {
	switch {
	case s.eligible > 0:
		j.Status = Attributed
	case len(s.candidates) == 0:
		j.Status, j.Reason = Unattributed, empty
	default:
		j.Status, j.Reason = Unattributed, ReasonNoEligibleTouch
	}
}

// see collects the touches of a conversion and applies the filters that are its own: window, newest 500.
func (v *person) see(p *Partition, c *aftertouchv1.CanonicalConversion) seen {
	from := c.Time - maxWindow
	all := p.candidates[:0]
	given := v.givenBetween(from, c.Time)
	for i := v.firstAt(from); i < len(v.own) && v.own[i].time <= c.Time; i++ {
		o := v.own[i]
		v.look(p, o)
		if o.verdict == isNoTouch {
			continue
		}
		for len(given) > 0 && compareTouches(&given[0].best.touch, &o.touch) < 0 {
			all, given = v.appendGiven(all, given[0]), given[1:]
		}
		all = append(all, candidate{touch: &o.touch, verdict: o.verdict})
	}
	for _, g := range given {
		all = v.appendGiven(all, g)
	}
	p.candidates = all
	return p.filter(v.addr.Workspace, c, all, func(click *touch) bool {
		return v.clicks[click.id] != nil || v.hasGiven(touchKey{click.entity, click.id})
	})
}

// appendGiven appends a given touch, unless the person holds the same click itself.
func (v *person) appendGiven(all []candidate, g *givenTouch) []candidate {
	if held := v.clicks[g.key.id]; held != nil && held.touch.entity == g.key.entity {
		return all
	}
	return append(all, candidate{touch: &g.best.touch, verdict: g.best.verdict})
}

func (v *person) hasGiven(key touchKey) bool {
	g := v.givenBy.get(key)
	return g != nil && g.best != nil
}

func (v *person) givenBetween(from, to int64) []*givenTouch {
	after := func(g *givenTouch, time int64) int {
		if g.best.time < time {
			return -1
		}
		return 1
	}
	i, _ := slices.BinarySearchFunc(v.given, from, after)
	j, _ := slices.BinarySearchFunc(v.given, to+1, after)
	return v.given[i:max(i, j)]
}

// filter adds the touches that the conversion brings itself (its token's click unless known, its codes) to the others,
// which are in A5 order, and decides each.
func (p *Partition) filter(workspace string, c *aftertouchv1.CanonicalConversion, all []candidate, known func(*touch) bool) seen {
	if c.Click != nil {
		if t := p.touchFromProto(workspace, c.Click); !known(&t) && c.Time-maxWindow <= t.time && t.time <= c.Time {
			all = append(all, candidate{touch: &t, verdict: p.ownVerdict(workspace, &t)})
		}
	}
	for _, code := range c.Codes {
		t := p.touchFromProto(workspace, code)
		all = append(all, candidate{touch: &t, verdict: p.ownVerdict(workspace, &t)})
	}
	if c.Click != nil || len(c.Codes) > 0 {
		slices.SortFunc(all, func(a, b candidate) int { return compareTouches(a.touch, b.touch) })
	}
	s := seen{candidates: all}
	for i := range all {
		a := &all[i]
		if a.reason = a.verdict.reason(); a.reason != "" {
			continue
		}
		terms := p.termsOf(workspace, a.touch.origin)
		switch {
		case terms == nil:
			a.reason = ReasonNotInForce
		case !inWindow(a.touch, terms, c.Time):
			a.reason = ReasonOutsideWindow
		default:
			a.halfLife = terms.HalfLife
			s.eligible++
		}
	}
	s.bound()
	return s
}

// bound keeps the newest of the eligible touches and of the others, and counts the rest by reason.
func (s *seen) bound() {
	over, others := s.eligible-MaxEligible, len(s.candidates)-s.eligible-MaxExplained
	if over <= 0 && others <= 0 {
		return
	}
	s.omitted = map[string]uint32{}
	s.candidates = slices.DeleteFunc(s.candidates, func(c candidate) bool {
		switch {
		case c.reason == "" && over > 0:
			over--
			s.eligible--
			s.omitted[ReasonOver500]++
			return true
		case c.reason != "" && others > 0:
			others--
			s.omitted[c.reason]++
			return true
		}
		return false
	})
}

// rows returns the touches with the credit of every model and its share of the value.
func (s *seen) rows(c *aftertouchv1.CanonicalConversion) []JourneyTouch {
	players := make([]player, 0, s.eligible)
	rows := make([]JourneyTouch, len(s.candidates))
	touches := make([]aftertouchv1.Touch, len(s.candidates))
	places := make([]int, 0, s.eligible)
	for i := range s.candidates {
		a := &s.candidates[i]
		a.touch.toProto(&touches[i])
		rows[i] = JourneyTouch{Touch: &touches[i], Eligible: a.reason == "", Reason: a.reason}
		if a.reason == "" {
			players = append(players, player{class: classOf(a.touch.kind), age: c.Time - a.touch.time, halfLife: a.halfLife})
			places = append(places, i)
		}
	}
	if len(players) > 0 {
		creditAll(players, c.ValueMinor, func(i int, m Model, credit uint32, value int64) {
			rows[places[i]].Credit[m], rows[places[i]].ValueMinor[m] = credit, value
		})
	}
	return rows
}

// journeyHash returns a hash of what the journey says, without its positions and cause; it is never 0.
func (p *Partition) journeyHash(j *Journey, s *seen) uint64 {
	b := p.scratch[:0]
	b = putString(putString(append(b, byte(j.Status)), j.Reason), j.Person.Local())
	b = appendContent(b, j.Conversion)
	for i := range s.candidates {
		b = s.candidates[i].appendHash(b)
	}
	for _, reason := range slices.Sorted(maps.Keys(s.omitted)) {
		b = putUint(putString(b, reason), s.omitted[reason])
	}
	p.scratch = b
	sum := sha256.Sum256(b)
	return max(binary.BigEndian.Uint64(sum[:8]), 1)
}

// appendContent appends a conversion's encoding without its position. It does not change the conversion, which rows on
// their way to the database share.
func appendContent(b []byte, c *aftertouchv1.CanonicalConversion) []byte {
	start := len(b)
	b = appendConversionProto(b, c)
	// The encoding is in the order of field numbers: the order's address is field 1, its position field 2.
	r := reader{s: string(b[start:])}
	if c.Order != "" {
		r.byte()
		r.string()
	}
	from := start + len(b[start:]) - len(r.s)
	if c.OrderPosition == nil {
		return b
	}
	r.byte()
	r.string()
	return append(b[:from], r.s...)
}

// appendHash appends what tells the candidate apart. The hash of a touch's payload stands for what its event said.
func (a *candidate) appendHash(b []byte) []byte {
	t := a.touch
	b = putInt(putString(b, a.reason), a.halfLife)
	if t.hash == 0 {
		return appendOrigin(appendTouch(b, t), t.origin)
	}
	b = putString(putString(putString(b, t.entity), t.id), t.visitor)
	return putUint(binary.LittleEndian.AppendUint64(b, t.hash), t.flags)
}
