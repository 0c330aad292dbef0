package attribution

import (
	"cmp"
	"slices"
	"strings"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/event"
)

// givenTouch is a touch that linked visitors hold. Several can hold one click.
type givenTouch struct {
	key        touchKey
	statements []statement
	// best is the valid statement that counts; nil when all holders withdrew theirs. Its touch says where this stands in
	// A5 order.
	best    *statement
	seenDay uint16
}

// statement is a holder's newest word about a touch, by whichever way it came.
type statement struct {
	touch
	holder    string
	position  event.Position
	verdict   verdict
	withdrawn bool
}

func (s *statement) proto() *aftertouchv1.ForwardedTouch {
	f := &aftertouchv1.ForwardedTouch{Holder: s.holder, Position: positionProto(s.position), Withdrawn: s.withdrawn}
	if s.withdrawn {
		f.Touch = &aftertouchv1.Touch{Entity: s.entity, EventId: s.id}
		return f
	}
	f.Touch, f.Reason = s.touch.proto(), s.verdict.reason()
	return f
}

// applyTouches records what the sender of a message gives.
func (v *person) applyTouches(p *Partition, m *aftertouchv1.Message, forward *aftertouchv1.TouchForward) {
	v.step.cause = cmp.Or(forward.GetCause(), CauseLateTouch)
	if v.addr.IsPseudo() {
		return
	}
	for _, f := range forward.GetTouches() {
		if f.GetTouch() == nil {
			continue
		}
		position, holder := m.GetPosition(), m.GetSender()
		if f.Position != nil {
			position = f.Position
		}
		if f.Holder != "" {
			holder = f.Holder
		}
		switch {
		case holder == v.local:
			// This visitor's own word came back in a circle of links.
		case holder == f.Touch.Entity && isClickEntity(holder):
			v.applyClick(p, f, positionOf(position))
		default:
			v.applyStatement(p, f, holder, positionOf(position), m.GetSender())
		}
	}
}

func isClickEntity(local string) bool {
	a, err := event.ParseLocal("", local)
	return err == nil && a.IsClick()
}

// applyStatement records a holder's word about a touch when it is newer than the known one, and passes it on.
func (v *person) applyStatement(p *Partition, f *aftertouchv1.ForwardedTouch, holder string, at event.Position, from string) {
	key := touchKey{f.Touch.Entity, f.Touch.EventId}
	g := v.givenBy.get(key)
	if g == nil {
		g = &givenTouch{key: key, seenDay: p.clock.day()}
		v.givenBy.put(g)
		v.oldestDay = min(v.oldestDay, g.seenDay)
	}
	s := g.of(holder)
	if s != nil && !at.After(s.position) {
		return
	}
	next := statement{
		holder: holder, position: at, withdrawn: f.Withdrawn, verdict: verdictOf(f.Reason),
		touch: touch{subject: p.subject(key.entity, ""), id: key.id, origin: &origin{}},
	}
	if !f.Withdrawn {
		next.touch = p.touchFromProto(v.addr.Workspace, f.Touch)
	}
	v.ungive(g)
	if s != nil {
		*s = next
		v.garbage += ownBytes
	} else {
		g.statements = append(g.statements, next)
	}
	v.give(g)
	p.keepStatement(v, g, &next)
	v.step.statements = append(v.step.statements, statementChange{forwarded: next.proto(), from: from})
}

func (g *givenTouch) touchKey() touchKey { return g.key }

func (g *givenTouch) of(holder string) *statement {
	for i := range g.statements {
		if g.statements[i].holder == holder {
			return &g.statements[i]
		}
	}
	return nil
}

// choose finds the statement that counts: one that lets the touch take part before others, then the better record.
func (g *givenTouch) choose() {
	g.best = nil
	for i := range g.statements {
		s := &g.statements[i]
		if !s.withdrawn && (g.best == nil || compareStatements(s, g.best) < 0) {
			g.best = s
		}
	}
}

func compareStatements(a, b *statement) int {
	return cmp.Or(cmp.Compare(a.verdict, b.verdict), compareContents(&a.touch, &b.touch), strings.Compare(a.holder, b.holder))
}

// ungive takes the touch out of the order before its statements change.
func (v *person) ungive(g *givenTouch) {
	if g.best == nil {
		return
	}
	v.step.touchedAt(g.best.time)
	i, _ := slices.BinarySearchFunc(v.given, &g.best.touch, compareGiven)
	if v.given[i] != g {
		panic("BUG: given touch is out of order")
	}
	v.given = slices.Delete(v.given, i, i+1)
}

// give puts the touch in its place in A5 order.
func (v *person) give(g *givenTouch) {
	g.choose()
	if g.best == nil {
		return
	}
	v.step.touchedAt(g.best.time)
	if n := len(v.given); n == 0 || compareGiven(v.given[n-1], &g.best.touch) < 0 {
		v.given = append(v.given, g)
		return
	}
	i, _ := slices.BinarySearchFunc(v.given, &g.best.touch, compareGiven)
	v.given = slices.Insert(v.given, i, g)
}

func compareGiven(g *givenTouch, t *touch) int { return compareTouches(&g.best.touch, t) }
