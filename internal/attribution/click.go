package attribution

import (
	"cmp"
	"slices"
	"strings"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/event"
)

// clickState is what the pseudo-visitor of a redirect's click knows: who has the click, and who wants to know. All of it
// only grows, so the order of arrival does not matter.
type clickState struct {
	// known are the visitors that records of the click name.
	known []string
	// adopters in the order of their first events that bore the token (A5).
	adopters []adopter
	// askers are the orders that know only the token.
	askers []string

	// Of the step: what was said last, who has the click since, and who asked.
	answer    *aftertouchv1.ClickAnswer
	newHolder []string
	newAsker  []string
}

// adopter is a visitor and its first event that bore the token.
type adopter struct {
	visitor string
	first   event.Rank
}

func compareAdopters(a, b adopter) int {
	return cmp.Or(a.first.Compare(b.first), strings.Compare(a.visitor, b.visitor))
}

// clickID returns the id of the click event that the pseudo-visitor stands for.
func (v *person) clickID() string {
	return strings.TrimPrefix(v.addr.ID, event.ClickAddress("", "").ID)
}

// beginClick remembers what was answered before the step.
func (v *person) beginClick() *clickState {
	if v.click == nil {
		v.click = &clickState{}
	}
	if v.click.answer == nil {
		v.click.answer = v.clickAnswer()
	}
	return v.click
}

func (c *clickState) holds(visitor string) bool {
	return slices.Contains(c.known, visitor) ||
		slices.ContainsFunc(c.adopters, func(a adopter) bool { return a.visitor == visitor })
}

// knowVisitor records the visitor that the redirect knew.
func (v *person) knowVisitor(p *Partition, visitor string) {
	c := v.beginClick()
	if visitor == "" || slices.Contains(c.known, visitor) {
		return
	}
	if !c.holds(visitor) {
		c.newHolder = append(c.newHolder, visitor)
	}
	c.known = append(c.known, visitor)
	p.change(v, func(b []byte) []byte { return putString(append(b, opKnownVisitor), visitor) })
}

// applyAdopted records that a visitor adopted the click.
func (v *person) applyAdopted(p *Partition, m *aftertouchv1.ClickAdopted) {
	if !v.addr.IsClick() || m.GetVisitor() == "" {
		return
	}
	v.step.cause = CauseIdentity
	c := v.beginClick()
	a := adopter{m.Visitor, event.Rank{Time: m.Time, ReceivedTime: m.ReceivedTime, EventID: m.EventId}}
	isNew := !c.holds(a.visitor)
	if !c.adopt(a) {
		return
	}
	if isNew {
		c.newHolder = append(c.newHolder, a.visitor)
	}
	p.change(v, func(b []byte) []byte { return appendAdopter(b, a) })
}

// adopt records an adopter's first event, and reports whether that is news.
func (c *clickState) adopt(a adopter) bool {
	i := slices.IndexFunc(c.adopters, func(b adopter) bool { return a.visitor == b.visitor })
	switch {
	case i < 0:
		c.adopters = append(c.adopters, a)
	case a.first.Compare(c.adopters[i].first) < 0:
		c.adopters[i] = a
	default:
		return false
	}
	slices.SortFunc(c.adopters, compareAdopters)
	return true
}

// applyQuestion records an order that knows only the click's token.
func (v *person) applyQuestion(p *Partition, m *aftertouchv1.ClickQuestion) {
	if !v.addr.IsClick() {
		return
	}
	c := v.beginClick()
	if slices.Contains(c.askers, m.GetOrder()) {
		return
	}
	c.newAsker = append(c.newAsker, m.GetOrder())
	c.askers = append(c.askers, m.GetOrder())
	p.change(v, func(b []byte) []byte { return putString(append(b, opAsker), m.GetOrder()) })
}

// clickAnswer returns what orders are told: the first adopter, else the visitor that the redirect knew.
func (v *person) clickAnswer() *aftertouchv1.ClickAnswer {
	a := &aftertouchv1.ClickAnswer{ClickEventId: v.clickID()}
	if o := v.findOwn(a.ClickEventId); o != nil {
		a.Click, a.Visitor = o.proto(), o.visitor
	}
	if len(v.click.adopters) > 0 {
		a.Visitor = v.click.adopters[0].visitor
	}
	return a
}

// tellClick gives the click to who has it, and answers orders, when the step changed what they know.
func (v *person) tellClick(p *Partition) {
	c := v.click
	if c.answer == nil {
		return
	}
	answer := v.clickAnswer()
	for _, visitor := range c.newHolder {
		p.out.Identities = append(p.out.Identities, Identity{
			From: v.addr, To: event.VisitorAddress(v.addr.Workspace, visitor), Cause: p.rec.Position,
		})
	}
	if answer.Click != nil {
		to := c.newHolder
		if !answer.Click.EqualVT(c.answer.Click) {
			to = c.holders()
		}
		for _, visitor := range to {
			p.send(v.local, event.VisitorAddress(v.addr.Workspace, visitor), &aftertouchv1.Message{Body: &aftertouchv1.Message_Touches{
				Touches: &aftertouchv1.TouchForward{
					Touches: []*aftertouchv1.ForwardedTouch{{Touch: answer.Click}}, Cause: v.step.cause,
				},
			}})
		}
	}
	to := c.newAsker
	if !answer.EqualVT(c.answer) {
		to = c.askers
	}
	for _, order := range to {
		addr, err := event.ParseLocal(v.addr.Workspace, order)
		if err != nil || addr.Kind != event.Order {
			continue
		}
		p.send(v.local, addr, &aftertouchv1.Message{Body: &aftertouchv1.Message_Answer{Answer: answer}})
	}
	c.answer, c.newHolder, c.newAsker = nil, c.newHolder[:0], c.newAsker[:0]
}

// holders returns all visitors that have the click.
func (c *clickState) holders() []string {
	all := slices.Clone(c.known)
	for _, a := range c.adopters {
		if !slices.Contains(all, a.visitor) {
			all = append(all, a.visitor)
		}
	}
	return all
}
