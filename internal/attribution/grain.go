package attribution

import (
	"github.com/aftertouch-io/aftertouch/internal/event"
)

// grain applies A6 to the own touch at index i of an hour that begins at index from, whose earlier touches are decided:
// of touches that can take part and share kind, link and placement in one UTC half hour the first stands for all, and a
// visit that is evidence of a click is no touch. A person's own touches share their visitor.
func (v *person) grain(p *Partition, from, i int) verdict {
	o := v.own[i]
	if o.kind == event.KindVisit && v.isEvidence(p, o) {
		return isClickEvidence
	}
	half := o.time - o.time%halfHour
	for j := i - 1; j >= from && v.own[j].time >= half; j-- {
		if prior := v.own[j]; prior.kind == o.kind && prior.verdict.inGrain() &&
			prior.origin.link == o.origin.link && prior.origin.placement == o.origin.placement {
			return isSameHalfHour
		}
	}
	return takesPart
}

// isEvidence reports whether a visit shows a click that can take part itself: it bears the click's token, or it is on
// the click's link within 30 min after it.
func (v *person) isEvidence(p *Partition, visit *ownTouch) bool {
	if visit.click != "" {
		if c := v.clicks[visit.click]; c != nil && c.touch != nil && p.ownVerdict(v.addr.Workspace, &c.touch.touch) == takesPart {
			return true
		}
	}
	if visit.origin.link == "" {
		return false
	}
	for i := v.firstAt(visit.time - halfHour); i < len(v.own) && v.own[i].time <= visit.time; i++ {
		if c := v.own[i]; c.kind == event.KindClick && c.origin.link == visit.origin.link &&
			p.ownVerdict(v.addr.Workspace, &c.touch) == takesPart {
			return true
		}
	}
	return false
}

// isShare reports whether the touch is a visit on a copied link (D6): it bears a click's token outside the span of
// adoption, and the visitor does not have the click.
func (v *person) isShare(o *ownTouch) bool {
	if o.kind != event.KindVisit || o.click == "" || o.flags&event.TouchAfterToken == 0 {
		return false
	}
	c := v.clicks[o.click]
	return c == nil || c.touch == nil
}
