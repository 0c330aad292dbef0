package attribution

import (
	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/event"
)

// The span of adoption (D6): how long before and after its click an event that bears the token may happen.
const (
	adoptBefore = minute
	adoptAfter  = 30 * minute
)

func inAdoptionSpan(time, click int64) bool {
	return click-adoptBefore <= time && time <= click+adoptAfter
}

// heldClick is a redirect's click as a visitor has it.
type heldClick struct {
	// touch stands among the visitor's own touches.
	touch *ownTouch
	// adopted is set when an event of the visitor bore the token in time; first is the first such event (A5).
	adopted bool
	first   event.Rank
	// source is the position of the newest statement of the click's own entity; zero when there was none.
	source  event.Position
	known   bool
	seenDay uint16
}

// bearing says that an event bore a token.
type bearing struct {
	click touch
	// tokenVisitor is the visitor that the token names, if any.
	tokenVisitor string
	rank         event.Rank
}

// bearingOf returns the event's bearing of a token within the span of adoption; nil when there is none.
func bearingOf(p *Partition, workspace string, e *aftertouchv1.Event, time, received int64) *bearing {
	ref := e.GetStamps().GetClick()
	if ref.GetEventId() == "" || ref.EventId == e.EventId || !inAdoptionSpan(time, event.Millis(ref.Time)) {
		return nil
	}
	return &bearing{
		click: p.tokenClick(workspace, e.Stamps), tokenVisitor: ref.VisitorId,
		rank: event.Rank{Time: time, ReceivedTime: received, EventID: e.EventId},
	}
}

// tokenClick returns the click that a token names, as the token tells it.
func (p *Partition) tokenClick(workspace string, s *aftertouchv1.Stamps) touch {
	ref := s.Click
	time := max(event.Millis(ref.Time), 0)
	t := touch{
		subject: p.subject(event.ClickAddress(workspace, ref.EventId).Local(), ""), id: ref.EventId, time: time, received: time,
		kind: event.KindClick, flags: event.TouchFromToken,
		origin: p.intern(workspace, &origin{
			agreement: s.GetTerms().GetAgreementId(), version: ref.AgreementVersion, campaign: s.GetTerms().GetCampaignId(),
			creator: s.GetTerms().GetCreatorId(), link: ref.LinkId,
		}),
	}
	if ref.AgreementVersion == 0 {
		t.flags |= event.TouchNotInForce
	}
	return t
}

// bear records that an event of this visitor bore a token in time. The first such event adopts the click; a token that
// names another visitor links that one to this (D5). Only the first counts, so the order of arrival does not.
func (v *person) bear(p *Partition, b *bearing) {
	c := v.clicks[b.click.id]
	if c != nil && c.adopted && c.first.Compare(b.rank) <= 0 {
		return
	}
	c = v.holdClick(p, c, &b.click)
	again := c.adopted
	c.adopted, c.first = true, b.rank
	p.keepClick(v, b.click.id, c)
	click := event.ClickAddress(v.addr.Workspace, b.click.id)
	p.send(v.local, click, &aftertouchv1.Message{Body: &aftertouchv1.Message_Adopted{Adopted: &aftertouchv1.ClickAdopted{
		Visitor: v.addr.ID, Time: b.rank.Time, ReceivedTime: b.rank.ReceivedTime, EventId: b.rank.EventID,
	}}})
	if !again && b.tokenVisitor != "" && b.tokenVisitor != v.addr.ID {
		p.send(v.local, event.VisitorAddress(v.addr.Workspace, b.tokenVisitor), &aftertouchv1.Message{Body: &aftertouchv1.Message_Link{
			Link: &aftertouchv1.LinkStatement{Targets: []string{v.local}},
		}})
	}
}

// holdClick makes the click one of the visitor's own touches, or changes what it says: the redirect's own record is
// better than any token, of tokens the first one borne counts.
func (v *person) holdClick(p *Partition, c *heldClick, t *touch) *heldClick {
	t.subject = p.subject(t.entity, v.addr.ID)
	if c == nil {
		v.noteVisitsBearing(p, t.id)
		o := &ownTouch{touch: *t, held: true, verdict: isUnknown, stated: p.rec.Position, seenDay: p.clock.day()}
		c = &heldClick{touch: o, seenDay: o.seenDay}
		if v.clicks == nil {
			v.clicks = map[string]*heldClick{}
		}
		v.clicks[t.id] = c
		v.step.touches = append(v.step.touches, touchChange{touch: o, was: isUnknown, isNew: true, time: o.time})
		v.place(p, o)
		v.oldestDay = min(v.oldestDay, o.seenDay)
		p.keepOwn(v, o, false)
		return c
	}
	if sameTouch(&c.touch.touch, t) || c.known && t.flags&event.TouchFromToken != 0 {
		return c
	}
	v.look(p, c.touch)
	v.noteTouch(c.touch).content = true
	v.replaceContent(p, c.touch, t)
	return c
}

// noteVisitsBearing notes the visits that bear the token before the visitor has its click: they may be no share then.
func (v *person) noteVisitsBearing(p *Partition, click string) {
	for i := range v.own {
		if o := v.own[i]; o.click == click {
			v.look(p, o)
			v.noteTouch(o)
		}
	}
}

// applyLink records the addresses and the token that another entity found this visitor to have to do with.
func (v *person) applyLink(p *Partition, l *aftertouchv1.LinkStatement) {
	v.step.cause = CauseIdentity
	if !v.isVisitor() {
		return
	}
	for _, target := range l.GetTargets() {
		v.addLink(p, target)
	}
	if b := l.GetBearing(); b.GetClick() != nil {
		v.bear(p, &bearing{
			click: p.touchFromProto(v.addr.Workspace, b.Click), tokenVisitor: b.TokenVisitor,
			rank: event.Rank{Time: b.Time, ReceivedTime: b.ReceivedTime, EventID: b.EventId},
		})
	}
}

// applyClick records what the click's own entity says of a click that this visitor has.
func (v *person) applyClick(p *Partition, f *aftertouchv1.ForwardedTouch, at event.Position) {
	if !v.isVisitor() || f.Withdrawn {
		return
	}
	t := p.touchFromProto(v.addr.Workspace, f.Touch)
	c := v.clicks[t.id]
	if c != nil && c.known && !at.After(c.source) {
		return
	}
	c = v.holdClick(p, c, &t)
	c.known, c.source = true, at
	p.keepClick(v, t.id, c)
}
