package attribution

import (
	"cmp"
	"slices"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/event"
)

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
		if o.names.visitor == "" && o.names.user == "" {
			break
		}
		var targets []string
		for _, user := range o.users {
			if visitor != o.names.visitor && user != o.names.user || passed == (bearingKey{visitor, user}) {
				continue
			}
			targets = append(targets, event.UserAddress(o.addr.Workspace, user).Local())
		}
		if len(targets) > 0 {
			o.sendLink(p, visitor, &aftertouchv1.LinkStatement{Targets: targets})
		}
	}
	if b := o.names.bearing; b != nil {
		o.sendLink(p, o.names.bearer, &aftertouchv1.LinkStatement{Bearing: &aftertouchv1.TokenBearing{
			Click: b.click.proto(), TokenVisitor: b.tokenVisitor,
			Time: b.rank.Time, ReceivedTime: b.rank.ReceivedTime, EventId: b.rank.EventID,
		}})
	}
}

func (o *order) sendLink(p *Partition, visitor string, l *aftertouchv1.LinkStatement) {
	p.send(o.local, event.VisitorAddress(o.addr.Workspace, visitor), &aftertouchv1.Message{
		Body: &aftertouchv1.Message_Link{Link: l},
	})
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
