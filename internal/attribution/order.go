package attribution

import (
	"fmt"
	"slices"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/event"
)

// order is the entity that all records about one conversion are addressed to (D2).
type order struct {
	entityState
	// records by the order of their arrival, one for each event id; byID finds them, sum is what they come to.
	records []*orderRecord
	byID    index[*orderRecord]
	sum     summary
	// visitors, users and bearings are those that any record names, also one that lost to a better record of its event.
	// They only grow.
	visitors, users []string
	bearings        map[bearingKey]event.Rank
	// answers are those of clicks' entities, by click event id; asked are the clicks that were asked.
	answers map[string]*clickAnswer
	asked   []string
	// canonical is what the records say together, nil while there is none, and position where that last changed.
	canonical *aftertouchv1.CanonicalConversion
	position  event.Position

	names newNames
	cause string
}

type bearingKey struct{ visitor, click string }

type clickAnswer struct {
	position event.Position
	answer   *aftertouchv1.ClickAnswer
}

// newNames are what the step's record named for the first time.
type newNames struct {
	visitor, user string
	bearing       *bearing
	bearer        string
}

func (o *order) base() *entityState { return &o.entityState }

// apply applies a record and tells everybody concerned what it changed.
func (o *order) apply(p *Partition) error {
	defer func() { o.names, o.cause = newNames{}, "" }()
	switch {
	case p.rec.Event.GetConversion() != nil:
		if err := o.applyConversion(p, p.rec.Event); err != nil {
			return err
		}
	case p.rec.Event != nil:
		return nil // Adjustments are refused by the collector of this version; touches are not addressed to orders.
	case p.rec.Message.GetAnswer() != nil:
		o.applyAnswer(p, p.rec.Message)
	default:
		return nil
	}
	o.conclude(p)
	return nil
}

// applyConversion records a conversion event and writes its fact. Of the records with one event id the better one is the
// event (A13).
func (o *order) applyConversion(p *Partition, e *aftertouchv1.Event) error {
	next := p.orderRecordOf(e)
	r, previous := o.byID.get(next.touchKey()), int64(0)
	o.cause = CauseOrderMerge
	switch {
	case r == nil:
		r = next
		o.oldestDay = r.seenDay
		o.records = append(o.records, r)
		o.byID.put(r)
		o.sum.add(r)
		p.change(o, func(b []byte) []byte { return appendRecord(b, r) })
		p.keepPayload(o, r.id, r.logDay)
	case betterRecord(next.received, next.hash, r.received, r.hash):
		p.out.Duplicates++
		o.cause, previous = CauseDuplicate, r.time
		next.duplicates, next.seenDay, next.logDay = r.duplicates+1, r.seenDay, r.logDay
		o.garbage += recordBytes
		*r = *next
		o.summarize()
		p.change(o, func(b []byte) []byte { return appendRecord(b, r) })
		p.keepPayload(o, r.id, r.logDay)
	default:
		p.out.Duplicates++
		r.duplicates++
		o.garbage += len(r.id) + 4
		p.change(o, func(b []byte) []byte { return appendOrderDuplicates(b, r) })
		if r.hash != next.hash {
			var err error
			if e, err = p.keptEvent(&o.entityState, r.id, r.logDay); err != nil {
				return fmt.Errorf("reading event %s: %w", r.id, err)
			}
		}
	}
	o.writeFact(p, r, e, previous)
	o.learnNames(p, next)
	return nil
}

func (o *order) writeFact(p *Partition, r *orderRecord, e *aftertouchv1.Event, previous int64) {
	flags := withFlags(e)
	if r.isLate() {
		flags = withFlags(e, event.FlagLate)
	}
	fact := Fact{
		Entity: o.addr, Event: e, Kind: event.KindConversion, Time: r.time, ReceivedTime: r.received,
		PayloadHash: r.hash, LogDay: r.logDay, Flags: flags, Duplicates: r.duplicates,
		ChangedOffset: p.rec.Position.Offset, Cause: p.rec.Position,
	}
	if previous != r.time {
		fact.PreviousTime = previous
	}
	p.out.Facts = append(p.out.Facts, fact)
}

// Bounds on whom one order links. A user of over 100 visitors and a visitor of over 10 users are shared and not one
// person (D5), so nothing is gained from naming more; a page that gives every conversion the same order id would link
// everybody with everybody.
const (
	maxLinkedVisitors = 101
	maxLinkedUsers    = 11
)

// learnNames records whom and which token a record names.
func (o *order) learnNames(p *Partition, r *orderRecord) {
	if r.visitor != "" && len(o.visitors) < maxLinkedVisitors && !slices.Contains(o.visitors, r.visitor) {
		o.visitors = append(o.visitors, r.visitor)
		o.names.visitor = r.visitor
		p.change(o, func(b []byte) []byte { return putString(append(b, opOrderVisitor), r.visitor) })
	}
	if r.user != "" && len(o.users) < maxLinkedUsers && !slices.Contains(o.users, r.user) {
		o.users = append(o.users, r.user)
		o.names.user = r.user
		p.change(o, func(b []byte) []byte { return putString(append(b, opOrderUser), r.user) })
	}
	if r.visitor == "" || r.click == nil || !inAdoptionSpan(r.time, r.click.time) {
		return
	}
	key := bearingKey{r.visitor, r.click.id}
	rank := event.Rank{Time: r.time, ReceivedTime: r.received, EventID: r.id}
	if first, ok := o.bearings[key]; ok && first.Compare(rank) <= 0 {
		return
	}
	if o.bearings == nil {
		o.bearings = map[bearingKey]event.Rank{}
	}
	o.bearings[key] = rank
	o.names.bearing, o.names.bearer = &bearing{
		click: *r.click, tokenVisitor: p.rec.Event.GetStamps().GetClick().GetVisitorId(), rank: rank,
	}, r.visitor
	p.change(o, func(b []byte) []byte { return appendOrderBearing(b, key, rank) })
}

// applyAnswer records what a click's entity says about who has the click.
func (o *order) applyAnswer(p *Partition, m *aftertouchv1.Message) {
	a := m.GetAnswer()
	if len(o.records) == 0 {
		return // Everything expired.
	}
	at := positionOf(m.GetPosition())
	if known := o.answers[a.ClickEventId]; known != nil && !at.After(known.position) {
		return
	}
	if o.answers == nil {
		o.answers = map[string]*clickAnswer{}
	}
	o.answers[a.ClickEventId] = &clickAnswer{at, a}
	o.cause = CauseIdentity
	o.garbage += 100
	p.change(o, func(b []byte) []byte { return appendAnswer(b, o.answers[a.ClickEventId]) })
}

// conclude tells visitors whom they are linked to, and the conversion's owner what the order says now.
func (o *order) conclude(p *Partition) {
	if len(o.records) == 0 {
		return
	}
	before, after := o.canonical, o.canonicalConversion(p)
	o.askClick(p, after)
	changed := before == nil || !sameConversion(before, after)
	var passed bearingKey
	if changed && after.Excluded == "" && after.Visitor != "" {
		passed = bearingKey{after.Visitor, after.User}
	}
	o.tellLinks(p, passed)
	if !changed {
		return
	}
	o.position = p.rec.Position
	after.OrderPosition = positionProto(o.position)
	o.canonical = after
	p.change(o, func(b []byte) []byte { return putPosition(append(b, opOrderPosition), o.position) })
	o.tellOwner(p, before)
}

// sameConversion compares what the canonical conversion said and says now, apart from its position. It leaves the old one
// as it is, because rows on their way to the database share it.
func sameConversion(before, after *aftertouchv1.CanonicalConversion) bool {
	after.OrderPosition = before.OrderPosition
	return after.EqualVT(before)
}
