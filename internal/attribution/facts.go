package attribution

import (
	"fmt"
	"slices"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/event"
)

// keepPayload keeps the record's payload, from which the fact can be written again.
func (p *Partition) keepPayload(e entity, eventID string, logDay uint16) {
	p.change(e, func(b []byte) []byte { return b })
	s := e.base()
	s.payloads = append(s.payloads, payload{eventID: eventID, logDay: logDay, payload: p.rec.Payload})
}

// keptEvent returns the event that was kept under the id: since the last Commit, or in the store.
func (p *Partition) keptEvent(s *entityState, eventID string, logDay uint16) (*aftertouchv1.Event, error) {
	var kept []byte
	for i := len(s.payloads) - 1; i >= 0 && kept == nil; i-- {
		if k := &s.payloads[i]; k.eventID == eventID && k.logDay == logDay {
			kept = k.payload
		}
	}
	if kept == nil {
		var err error
		if kept, err = p.store.Event(s.addr, eventID, logDay); err != nil {
			return nil, err
		}
	}
	if kept == nil {
		return nil, fmt.Errorf("%w: no payload of event %s", errCorrupt, eventID)
	}
	e := &aftertouchv1.Event{}
	if err := e.UnmarshalVT(kept); err != nil {
		return nil, fmt.Errorf("%w: payload of event %s: %w", errCorrupt, eventID, err)
	}
	return e, nil
}

// writeFacts writes the row of each event of the step that is new or another one now.
func (v *person) writeFacts(p *Partition) error {
	for i := range v.step.touches {
		c := &v.step.touches[i]
		o := c.touch
		if o.held {
			continue // The click's own entity has the fact.
		}
		cut := (o.verdict == isCut) != (c.was == isCut)
		share := !c.isNew && v.isShare(o) != c.share
		if !c.isNew && !c.content && !c.duplicate && !cut && !share {
			continue
		}
		e, err := v.eventOf(p, c)
		if err != nil {
			return fmt.Errorf("reading event %s: %w", o.id, err)
		}
		fact := Fact{
			Entity: v.addr, Event: e, Kind: o.kind, Time: o.time, ReceivedTime: o.received, PayloadHash: o.hash, LogDay: o.logDay,
			Flags: v.factFlags(o, e), Duplicates: o.duplicates, ChangedOffset: p.rec.Position.Offset, Cause: p.rec.Position,
		}
		fact.CountUnmeasured = p.countsUnmeasured(v.addr.Workspace, o)
		if c.time != o.time {
			fact.PreviousTime = c.time
		}
		p.out.Facts = append(p.out.Facts, fact)
	}
	return nil
}

// countsUnmeasured reports whether the touch is an impression under an agreement version that counts unmeasured ones.
func (p *Partition) countsUnmeasured(workspace string, o *ownTouch) bool {
	if o.kind != event.KindImpression {
		return false
	}
	terms := p.termsOf(workspace, o.origin)
	return terms != nil && terms.CountUnmeasured
}

// eventOf returns the event of a touch: the record's when that is it, else the one that was kept.
func (v *person) eventOf(p *Partition, c *touchChange) (*aftertouchv1.Event, error) {
	o := c.touch
	if c.isNew || c.content || p.rec.Event != nil && p.rec.Event.EventId == o.id && p.rec.PayloadHash == o.hash {
		return p.rec.Event, nil
	}
	return p.keptEvent(&v.entityState, o.id, o.logDay)
}

// factFlags returns the stamped flags and those that the core decides, sorted.
func (v *person) factFlags(o *ownTouch, e *aftertouchv1.Event) []string {
	var added [3]string
	n := 0
	for _, f := range [...]struct {
		flag string
		set  bool
	}{{event.FlagCut, o.verdict == isCut}, {event.FlagLate, o.flags&event.TouchLate != 0}, {event.FlagShare, v.isShare(o)}} {
		if f.set {
			added[n] = f.flag
			n++
		}
	}
	return withFlags(e, added[:n]...)
}

// withFlags returns the event's stamped flags and the added ones, sorted.
func withFlags(e *aftertouchv1.Event, added ...string) []string {
	stamped := e.GetStamps().GetFlags()
	if len(added) == 0 && slices.IsSorted(stamped) {
		return stamped
	}
	flags := append(slices.Clone(stamped), added...)
	slices.Sort(flags)
	return slices.Compact(flags)
}
