package attribution

import (
	"github.com/aftertouch-io/aftertouch/internal/event"
)

// Bounds of A12 on what one entity can do.
const (
	// cutTouches is how many touches of a kind take part in one UTC hour.
	cutTouches = 20
	// cutConversions is how many conversions of a person take part on one UTC day.
	cutConversions = 50
)

// placedLast decides a touch that has just become the last of its hour, without looking at the whole hour, and reports
// whether it could: what comes last displaces nothing. A person may have any number of touches in an hour, and this keeps
// the cost of one more bounded by the number of those that count.
func (v *person) placedLast(p *Partition, o *ownTouch) bool {
	from, to := v.hourRange(hourOf(o.time))
	if v.own[to-1] != o {
		return false
	}
	if o.kind == event.KindClick && (o.held || to < len(v.own) && v.own[to].time <= o.time+halfHour) {
		return false // Visits may be evidence of it.
	}
	i := to - 1
	verdict := p.ownVerdict(v.addr.Workspace, &o.touch)
	if verdict == takesPart {
		verdict = v.grain(p, from, i)
	}
	n := 0
	for j := i - 1; j >= from && n < cutTouches; j-- {
		if prior := v.own[j]; prior.kind == o.kind && (prior.verdict == takesPart || prior.verdict == isCut) == (verdict == takesPart) {
			n++
		}
	}
	silent := false
	if n >= cutTouches {
		if verdict == takesPart {
			verdict = isCut
		} else {
			silent = true
		}
	}
	v.decide(o, verdict, silent)
	return true
}

// isCutConversion reports whether the owned conversion at index i is over the bound of its UTC day, in A5 order.
func (v *person) isCutConversion(i int) bool {
	start := v.conversions[i].canonical.Time
	start -= start % day
	n := 0
	for j := i - 1; j >= 0 && n < cutConversions && v.conversions[j].canonical.Time >= start; j-- {
		n++
	}
	return n >= cutConversions
}
