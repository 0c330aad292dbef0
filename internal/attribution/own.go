package attribution

import (
	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/event"
)

// ownTouch is an event that was addressed to the person, or a click that the person holds.
type ownTouch struct {
	touch
	// held marks a click of a redirect, which another entity has the fact of.
	held bool
	// verdict and silent are what is told of the touch: a function of all the person's own touches.
	verdict verdict
	// silent marks a touch without a part that linked entities are not told of, because of its number.
	silent bool
	// stated is where the touch last changed: the position of what is told of it.
	stated event.Position
	// duplicates counts further records of the event. seenDay is the clock's day when the first came, logDay that record's.
	duplicates      uint32
	seenDay, logDay uint16
}

func (o *ownTouch) touchKey() touchKey { return touchKey{o.entity, o.id} }

// touchChange is what the step did to one own touch.
type touchChange struct {
	touch *ownTouch
	// What held before the step; for a new touch wasTold is false.
	was     verdict
	wasTold bool
	share   bool
	// isNew, content and duplicate say what happened to the touch itself; time is its time before.
	isNew, content, duplicate bool
	time                      int64
}

// told reports whether linked entities are told of the touch.
func (o *ownTouch) told() bool {
	return !o.silent && o.verdict != isCut && o.verdict != isNoTouch
}

// noteTouch returns the step's note on a touch, made before the touch is changed for the first time.
func (v *person) noteTouch(o *ownTouch) *touchChange {
	for i := range v.step.touches {
		if v.step.touches[i].touch == o {
			return &v.step.touches[i]
		}
	}
	v.step.touches = append(v.step.touches, touchChange{
		touch: o, was: o.verdict, wasTold: o.told(), share: v.isShare(o), time: o.time,
	})
	return &v.step.touches[len(v.step.touches)-1]
}

// applyEvent records an event that was addressed to this person.
func (v *person) applyEvent(p *Partition, e *aftertouchv1.Event) error {
	kind := event.KindOf(e)
	if kind == event.KindUnspecified || kind == event.KindConversion || kind == event.KindAdjustment {
		return nil // Conversions and adjustments are addressed to orders; no collector writes this.
	}
	if v.addr.IsClick() {
		v.beginClick()
	}
	t := p.touchOf(v, kind, e)
	v.step.cause = CauseLateTouch
	if o := v.findOwn(t.id); o == nil {
		v.addEvent(p, &t)
	} else {
		v.repeatEvent(p, o, &t)
	}
	if v.isVisitor() {
		if e.UserKey != "" {
			v.addLink(p, event.UserAddress(v.addr.Workspace, e.UserKey).Local())
		}
		if b := bearingOf(p, v.addr.Workspace, e, t.time, t.received); b != nil {
			v.bear(p, b)
		}
	}
	if v.addr.IsClick() {
		v.knowVisitor(p, e.VisitorId)
	}
	return nil
}

// addEvent records an event that is seen for the first time.
func (v *person) addEvent(p *Partition, t *touch) {
	o := &ownTouch{
		touch: *t, verdict: isUnknown, stated: p.rec.Position, seenDay: p.clock.day(), logDay: dayOf(p.rec.Timestamp),
	}
	v.step.touches = append(v.step.touches, touchChange{touch: o, was: isUnknown, isNew: true, time: o.time})
	v.byID.put(o)
	v.place(p, o)
	v.oldestDay = min(v.oldestDay, o.seenDay)
	p.keepOwn(v, o, false)
	p.keepPayload(v, o.id, o.logDay)
}

// repeatEvent records a further record of a known event: the better of the two is the event (A13).
func (v *person) repeatEvent(p *Partition, o *ownTouch, t *touch) {
	p.out.Duplicates++
	wins := betterRecord(t.received, t.hash, o.received, o.hash)
	if wins {
		v.step.cause = CauseDuplicate
	}
	v.look(p, o)
	c := v.noteTouch(o)
	c.duplicate = true
	o.duplicates++
	if !wins {
		p.change(v, func(b []byte) []byte { return appendDuplicates(b, o) })
		v.garbage += len(o.id) + 4
		return
	}
	c.content = true
	v.replaceContent(p, o, t)
	p.keepPayload(v, o.id, o.logDay)
}

// replaceContent gives a touch another content, and with it another place.
func (v *person) replaceContent(p *Partition, o *ownTouch, t *touch) {
	v.unplace(p, o)
	o.touch, o.stated = *t, p.rec.Position
	v.place(p, o)
	v.garbage += ownBytes
	p.keepOwn(v, o, true)
}

// touchOf returns the event as a touch.
func (p *Partition) touchOf(v *person, kind event.Kind, e *aftertouchv1.Event) touch {
	s := e.GetStamps()
	received := max(event.Millis(s.GetReceivedTime()), 0)
	t := touch{
		subject: &v.self, id: e.EventId, received: received, time: correctedTime(e, received),
		hash: p.rec.PayloadHash, kind: kind, view: e.GetImpression().GetViewability() & 3,
	}
	if e.VisitorId != v.self.visitor {
		t.subject = p.subject(v.local, e.VisitorId)
	}
	o := origin{
		agreement: s.GetTerms().GetAgreementId(), version: s.GetTerms().GetAgreementVersion(),
		campaign: s.GetTerms().GetCampaignId(), creator: s.GetTerms().GetCreatorId(),
		link: e.Link, placement: e.Placement, channel: s.GetChannel(),
	}
	if ref := s.GetClick(); ref != nil && ref.EventId != e.EventId {
		t.click = ref.EventId
		if o.link == "" {
			o.link = ref.LinkId
		}
		if !inAdoptionSpan(t.time, event.Millis(ref.Time)) {
			t.flags |= event.TouchAfterToken
		}
	}
	t.origin = p.intern(v.addr.Workspace, &o)
	t.flags |= stampedFlags(s)
	if t.received-t.time > maxTouchLateness {
		t.flags |= event.TouchLate
	}
	return t
}

func stampedFlags(s *aftertouchv1.Stamps) (flags event.TouchFlags) {
	for _, f := range s.GetFlags() {
		switch f {
		case event.FlagRobot:
			flags |= event.TouchInvalid
		case event.FlagNotInForce:
			flags |= event.TouchNotInForce
		case event.FlagNoConsent:
			flags |= event.TouchNoConsent
		}
	}
	return flags
}

// correctedTime is the event's corrected time (A2). What the collector would have refused counts at its receipt.
func correctedTime(e *aftertouchv1.Event, received int64) int64 {
	t, _, refusal := event.CorrectTime(e, received)
	if refusal != nil {
		return received
	}
	return t
}
