package attribution

import (
	"bytes"
	"cmp"
	"slices"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/event"
)

// order is the entity that all records about one conversion are addressed to (D2).
type order struct {
	entityState
	// records by the order of their arrival, one for each event id.
	records []*orderRecord
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

// orderRecord is one event of the order: the better one of the records with its id.
type orderRecord struct {
	event          *aftertouchv1.Event
	payload        []byte
	time, received int64
	hash           uint64
	duplicates     uint32
	// seenDay is the clock's day when the first came, logDay that record's.
	seenDay, logDay uint16
}

type bearingKey struct{ visitor, click string }

type clickAnswer struct {
	position event.Position
	answer   *aftertouchv1.ClickAnswer
}

// newNames are what the step's record named for the first time.
type newNames struct {
	visitors, users []string
	bearing         *bearing
	bearer          string
}

func (o *order) base() *entityState { return &o.entityState }

// apply applies a record and tells everybody concerned what it changed.
func (o *order) apply(p *Partition) error {
	defer func() { o.names, o.cause = newNames{}, "" }()
	switch {
	case p.rec.Event.GetConversion() != nil:
		o.applyConversion(p, p.rec.Event)
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

// applyConversion records a conversion event and writes its fact.
func (o *order) applyConversion(p *Partition, e *aftertouchv1.Event) {
	received := max(event.Millis(e.GetStamps().GetReceivedTime()), 0)
	next := orderRecord{
		event: e, payload: bytes.Clone(p.rec.Payload), received: received, time: correctedTime(e, received), hash: p.rec.PayloadHash,
		seenDay: p.clock.day(), logDay: dayOf(p.rec.Timestamp),
	}
	r, previous := o.find(e.EventId), int64(0)
	o.cause = CauseOrderMerge
	switch {
	case r == nil:
		r = &next
		o.records = append(o.records, r)
		o.oldestDay = r.seenDay
		p.change(o, func(b []byte) []byte { return appendRecord(b, r) })
	case betterRecord(next.received, next.hash, r.received, r.hash):
		p.out.Duplicates++
		o.cause, previous = CauseDuplicate, r.time
		next.duplicates, next.seenDay, next.logDay = r.duplicates+1, r.seenDay, r.logDay
		o.garbage += len(r.payload)
		*r = next
		p.change(o, func(b []byte) []byte { return appendRecord(b, r) })
	default:
		p.out.Duplicates++
		r.duplicates++
		p.change(o, func(b []byte) []byte { return appendOrderDuplicates(b, r) })
	}
	o.writeFact(p, r, previous)
	o.learnNames(p, e, &next)
}

func (o *order) find(eventID string) *orderRecord {
	for _, r := range o.records {
		if r.event.EventId == eventID {
			return r
		}
	}
	return nil
}

func (o *order) writeFact(p *Partition, r *orderRecord, previous int64) {
	flags := r.event.GetStamps().GetFlags()
	if r.isLate() || !slices.IsSorted(flags) {
		flags = slices.Clone(flags)
		if r.isLate() {
			flags = append(flags, event.FlagLate)
		}
		slices.Sort(flags)
		flags = slices.Compact(flags)
	}
	fact := Fact{
		Entity: o.addr, Event: r.event, Kind: event.KindConversion, Time: r.time, ReceivedTime: r.received,
		PayloadHash: r.hash, LogDay: r.logDay, Flags: flags, Duplicates: r.duplicates,
		ChangedOffset: p.rec.Position.Offset, Cause: p.rec.Position,
	}
	if previous != r.time {
		fact.PreviousTime = previous
	}
	p.out.Facts = append(p.out.Facts, fact)
}

// learnNames records whom and which token a record names.
func (o *order) learnNames(p *Partition, e *aftertouchv1.Event, r *orderRecord) {
	if e.VisitorId != "" && !slices.Contains(o.visitors, e.VisitorId) {
		o.visitors = append(o.visitors, e.VisitorId)
		o.names.visitors = append(o.names.visitors, e.VisitorId)
		p.change(o, func(b []byte) []byte { return putString(append(b, opOrderVisitor), e.VisitorId) })
	}
	if e.UserKey != "" && !slices.Contains(o.users, e.UserKey) {
		o.users = append(o.users, e.UserKey)
		o.names.users = append(o.names.users, e.UserKey)
		p.change(o, func(b []byte) []byte { return putString(append(b, opOrderUser), e.UserKey) })
	}
	if e.VisitorId == "" {
		return
	}
	b := bearingOf(p, o.addr.Workspace, e, r.time, r.received)
	if b == nil {
		return
	}
	key := bearingKey{e.VisitorId, b.click.id}
	if first, ok := o.bearings[key]; ok && first.Compare(b.rank) <= 0 {
		return
	}
	if o.bearings == nil {
		o.bearings = map[bearingKey]event.Rank{}
	}
	o.bearings[key] = b.rank
	o.names.bearing, o.names.bearer = b, e.VisitorId
	p.change(o, func(buf []byte) []byte { return appendOrderBearing(buf, key, b.rank) })
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

// sameConversion compares what two canonical conversions say; positions apart.
func sameConversion(a, b *aftertouchv1.CanonicalConversion) bool {
	position := a.OrderPosition
	a.OrderPosition = b.OrderPosition
	same := a.EqualVT(b)
	a.OrderPosition = position
	return same
}

// askClick asks the click's entity for its visitor when the order knows only a token (D3).
func (o *order) askClick(p *Partition, c *aftertouchv1.CanonicalConversion) {
	if c.Click == nil || !o.knowsOnlyToken() || slices.Contains(o.asked, c.Click.EventId) {
		return
	}
	id := c.Click.EventId
	o.asked = append(o.asked, id)
	p.change(o, func(b []byte) []byte { return putString(append(b, opAsked), id) })
	p.send(o.local, event.ClickAddress(o.addr.Workspace, id), &aftertouchv1.Message{
		Body: &aftertouchv1.Message_Ask{Ask: &aftertouchv1.ClickQuestion{Order: o.local}},
	})
}

// tellLinks tells each visitor the users that records name beside it (D5), when there are new ones, and the token that
// it bore. The pair passed is told by the conversion itself.
func (o *order) tellLinks(p *Partition, passed bearingKey) {
	for _, visitor := range o.visitors {
		isNew := slices.Contains(o.names.visitors, visitor)
		var targets []string
		for _, user := range o.users {
			if !isNew && !slices.Contains(o.names.users, user) || passed == (bearingKey{visitor, user}) {
				continue
			}
			targets = append(targets, event.UserAddress(o.addr.Workspace, user).Local())
		}
		l := &aftertouchv1.LinkStatement{Targets: targets}
		if b := o.names.bearing; b != nil && o.names.bearer == visitor {
			l.Bearing = &aftertouchv1.TokenBearing{
				Click: b.click.proto(), TokenVisitor: b.tokenVisitor,
				Time: b.rank.Time, ReceivedTime: b.rank.ReceivedTime, EventId: b.rank.EventID,
			}
		}
		if len(l.Targets) > 0 || l.Bearing != nil {
			p.send(o.local, event.VisitorAddress(o.addr.Workspace, visitor), &aftertouchv1.Message{
				Body: &aftertouchv1.Message_Link{Link: l},
			})
		}
	}
}

// ownerOf returns the conversion's person (D4): the user, else the visitor, else nobody. Who takes no part has none.
func ownerOf(workspace string, c *aftertouchv1.CanonicalConversion) event.Address {
	switch {
	case c == nil || c.Excluded != "":
		return event.Address{}
	case c.User != "":
		return event.UserAddress(workspace, c.User)
	case c.Visitor != "":
		return event.VisitorAddress(workspace, c.Visitor)
	default:
		return event.Address{}
	}
}

// tellOwner gives the conversion to its owner, by way of the visitor so that its touches come first, and takes it from
// the owner before. Nobody's journey is the order's own.
func (o *order) tellOwner(p *Partition, before *aftertouchv1.CanonicalConversion) {
	c := o.canonical
	cause, previous := o.cause, int64(0)
	if before == nil {
		cause = CauseNew
	} else if before.Time != c.Time {
		previous = before.Time
	}
	last, owner := ownerOf(o.addr.Workspace, before), ownerOf(o.addr.Workspace, c)
	if !last.IsZero() && last != owner {
		p.send(o.local, last, &aftertouchv1.Message{Body: &aftertouchv1.Message_Released{
			Released: &aftertouchv1.ConversionReleased{Order: o.local, OrderPosition: c.OrderPosition},
		}})
	}
	if owner.IsZero() {
		o.writeJourney(p, cause, previous)
		return
	}
	m := &aftertouchv1.ConversionOwned{Conversion: c, Cause: cause, PreviousTime: previous}
	to := owner
	if owner.Kind == event.User && c.Visitor != "" {
		to, m.PassTo = event.VisitorAddress(o.addr.Workspace, c.Visitor), owner.Local()
	}
	p.send(o.local, to, &aftertouchv1.Message{Body: &aftertouchv1.Message_Owned{Owned: m}})
}

// writeJourney writes the journey of a conversion that is nobody's.
func (o *order) writeJourney(p *Partition, cause string, previous int64) {
	j := Journey{
		Order: o.addr, Conversion: o.canonical, Cause: cmp.Or(cause, CauseOrderMerge),
		OrderPosition: o.position, Position: o.position, PreviousTime: previous,
	}
	if reason := o.canonical.Excluded; reason != "" {
		j.Status, j.Reason = Excluded, reason
	} else {
		s := p.filter(o.addr.Workspace, o.canonical, nil, func(*touch) bool { return false })
		j.settle(&s, ReasonNoPerson)
		j.Touches, j.Omitted = s.rows(o.canonical), s.omitted
	}
	p.out.Journeys = append(p.out.Journeys, j)
}
