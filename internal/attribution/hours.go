package attribution

import (
	"slices"

	"github.com/aftertouch-io/aftertouch/internal/event"
)

// halfHour is the grain of A6, and how long a visit is evidence of the click before it.
const halfHour = 30 * minute

// quietBound is how many touches of a kind and hour that have no part linked entities are told of: enough to explain,
// and no more than the cut lets through of those that have one.
const quietBound = cutTouches

// hourRange returns the own touches of the UTC hour that begins at start.
func (v *person) hourRange(start int64) (from, to int) {
	n := len(v.own)
	if n == 0 || v.own[n-1].time < start {
		return n, n
	}
	from, to = v.firstAt(start), n
	if v.own[n-1].time >= start+hour {
		to = v.firstAt(start + hour)
	}
	return from, to
}

// firstAt returns the index of the first own touch at or after the time.
func (v *person) firstAt(time int64) int {
	i, _ := slices.BinarySearchFunc(v.own, time, func(o *ownTouch, time int64) int {
		if o.time < time {
			return -1
		}
		return 1
	})
	return i
}

// decideHour gives each own touch of the hour its verdict (A12): its own, then grain, then cut. The verdicts are a
// function of the set of the person's own touches. Touches whose verdict was known and changes are noted.
func (v *person) decideHour(p *Partition, start int64) {
	var kept, quiet [event.KindConsentChange + 1]int
	from, to := v.hourRange(start)
	for i := from; i < to; i++ {
		o := v.own[i]
		verdict := p.ownVerdict(v.addr.Workspace, &o.touch)
		if verdict == takesPart {
			verdict = v.grain(p, from, i)
		}
		if verdict == takesPart {
			if kept[o.kind]++; kept[o.kind] > cutTouches {
				verdict = isCut
			}
		}
		silent := false
		if verdict != takesPart && verdict != isCut {
			quiet[o.kind]++
			silent = quiet[o.kind] > quietBound
		}
		v.decide(o, verdict, silent)
	}
}

func (v *person) decide(o *ownTouch, verdict verdict, silent bool) {
	if o.verdict == verdict && o.silent == silent {
		return
	}
	if o.verdict != isUnknown {
		v.noteTouch(o)
	}
	o.verdict, o.silent = verdict, silent
}

// look makes sure that the touch's verdict is known.
func (v *person) look(p *Partition, o *ownTouch) {
	if o.verdict == isUnknown {
		v.decideHour(p, hourOf(o.time))
	}
}

// lookAtAll makes sure that all verdicts are known.
func (v *person) lookAtAll(p *Partition) {
	for _, o := range v.own {
		v.look(p, o)
	}
}

func hourOf(time int64) int64 { return time - time%hour }

// place inserts a new or changed touch and decides the hours that it may matter to.
func (v *person) place(p *Partition, o *ownTouch) {
	hours := v.hoursOf(p, o)
	v.lookAtHours(p, hours)
	v.insertOwn(o)
	if v.placedLast(p, o) {
		return
	}
	for _, h := range hours {
		v.decideHour(p, h)
	}
}

// unplace removes a touch that is about to change and decides the hours that it mattered to.
func (v *person) unplace(p *Partition, o *ownTouch) {
	hours := v.hoursOf(p, o)
	v.lookAtHours(p, hours)
	v.removeOwn(o)
	for _, h := range hours {
		v.decideHour(p, h)
	}
}

// hoursOf returns the hours whose touches' verdicts may depend on the touch: its own, and for a click those of the
// visits that may be evidence of it.
func (v *person) hoursOf(p *Partition, o *ownTouch) []int64 {
	hours := append(p.hours[:0], hourOf(o.time))
	if o.kind == event.KindClick {
		if next := hourOf(o.time + halfHour); next != hours[0] {
			hours = append(hours, next)
		}
		if o.held {
			for _, visit := range v.own {
				if h := hourOf(visit.time); visit.click == o.id && !slices.Contains(hours, h) {
					hours = append(hours, h)
				}
			}
		}
	}
	p.hours = hours
	return hours
}

// lookAtHours makes sure that the verdicts of the hours are known, so that changes are seen. The touches of one hour are
// always decided together.
func (v *person) lookAtHours(p *Partition, hours []int64) {
	for _, h := range hours {
		if from, to := v.hourRange(h); from < to {
			v.look(p, v.own[from])
		}
	}
}
