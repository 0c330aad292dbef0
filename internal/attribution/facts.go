package attribution

import (
	"fmt"
	"slices"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/event"
)

// keepPayload keeps the record's payload, from which the fact can be written again.
func (p *Partition) keepPayload(v *person, eventID string, logDay uint16) {
	p.change(v, func(b []byte) []byte { return b })
	v.payloads = append(v.payloads, payload{eventID: eventID, logDay: logDay, payload: p.rec.Payload})
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
	kept, err := v.payloadOf(p, o)
	if err != nil {
		return nil, err
	}
	e := &aftertouchv1.Event{}
	if kept == nil {
		return nil, fmt.Errorf("%w: no payload", errCorrupt)
	}
	if err := e.UnmarshalVT(kept); err != nil {
		return nil, fmt.Errorf("%w: %w", errCorrupt, err)
	}
	return e, nil
}

func (v *person) payloadOf(p *Partition, o *ownTouch) ([]byte, error) {
	for i := len(v.payloads) - 1; i >= 0; i-- {
		if k := &v.payloads[i]; k.eventID == o.id && k.logDay == o.logDay {
			return k.payload, nil
		}
	}
	return p.store.Event(v.addr, o.id, o.logDay)
}

// factFlags returns the stamped flags and those that the core decides, sorted.
func (v *person) factFlags(o *ownTouch, e *aftertouchv1.Event) []string {
	flags := e.GetStamps().GetFlags()
	late, cut, share := o.flags&event.TouchLate != 0, o.verdict == isCut, v.isShare(o)
	if !late && !cut && !share && slices.IsSorted(flags) {
		return flags
	}
	flags = slices.Clone(flags)
	if late {
		flags = append(flags, event.FlagLate)
	}
	if cut {
		flags = append(flags, event.FlagCut)
	}
	if share {
		flags = append(flags, event.FlagShare)
	}
	slices.Sort(flags)
	return slices.Compact(flags)
}
