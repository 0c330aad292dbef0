package attribution

import (
	"slices"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/event"
)

// addLink links this visitor to a user, or to a visitor that adopted a token naming this one (D5). Links are a set that
// only grows, so it does not matter which record named both.
func (v *person) addLink(p *Partition, target string) {
	if target == v.local || slices.Contains(v.links, target) {
		return
	}
	to, err := event.ParseLocal(v.addr.Workspace, target)
	if err != nil || to.Kind == event.Order || to.IsPseudo() {
		return
	}
	v.links = append(v.links, target)
	v.step.newLinks = append(v.step.newLinks, target)
	p.change(v, func(b []byte) []byte { return putString(append(b, opLink), target) })
	p.out.Identities = append(p.out.Identities, Identity{From: v.addr, To: to, Cause: p.rec.Position})
}

// statementChange is a statement about a touch that is to be told to the linked entities, except the one it came from.
type statementChange struct {
	forwarded *aftertouchv1.ForwardedTouch
	from      string
}

// forward tells linked entities what the step changed, and new ones everything that holds now. What an entity was told
// is a function of what it was told from, so nothing need be remembered.
func (v *person) forward(p *Partition) {
	if len(v.links) == 0 {
		return
	}
	v.stateChanges(p)
	old := v.links[:len(v.links)-len(v.step.newLinks)]
	for _, target := range old {
		v.forwardTo(p, target, v.step.statements, v.step.cause)
	}
	if len(v.step.newLinks) > 0 {
		all := v.allStatements(p)
		for _, target := range v.step.newLinks {
			v.forwardTo(p, target, all, CauseIdentity)
		}
	}
}

// stateChanges adds this person's own statements about touches that changed to those passed on.
func (v *person) stateChanges(p *Partition) {
	for i := range v.step.touches {
		c := &v.step.touches[i]
		o := c.touch
		told := o.told()
		changed := c.isNew || c.content || told != c.wasTold || o.verdict != c.was
		if !changed || !told && !c.wasTold {
			continue
		}
		if !c.isNew && !c.content {
			o.stated = p.rec.Position
			p.change(v, func(b []byte) []byte { return appendStated(b, o) })
			v.garbage += len(o.id) + 8
		}
		v.step.statements = append(v.step.statements, statementChange{forwarded: v.statement(p, o)})
	}
}

// statement returns what linked entities are told of an own touch. The message itself names this person as the holder,
// and the position when it is that of the present record.
func (v *person) statement(p *Partition, o *ownTouch) *aftertouchv1.ForwardedTouch {
	f := &aftertouchv1.ForwardedTouch{}
	if o.stated != p.rec.Position {
		f.Position = positionProto(o.stated)
	}
	if !o.told() {
		f.Withdrawn, f.Touch = true, &aftertouchv1.Touch{Entity: o.entity, EventId: o.id}
		return f
	}
	f.Touch, f.Reason = o.proto(), o.verdict.reason()
	return f
}

// allStatements returns what an entity that has just been linked is told: all that holds, also of other holders.
func (v *person) allStatements(p *Partition) []statementChange {
	v.lookAtAll(p)
	var all []statementChange
	for _, o := range v.own {
		if o.told() {
			all = append(all, statementChange{forwarded: v.statement(p, o)})
		}
	}
	for _, g := range v.given {
		for i := range g.statements {
			if s := &g.statements[i]; !s.withdrawn {
				all = append(all, statementChange{forwarded: s.proto()})
			}
		}
	}
	return all
}

// maxMessageBytes bounds one message (D4).
const maxMessageBytes = 512 << 10

// forwardTo sends statements to one linked entity, in messages of bounded size. An entity knows best about what it holds.
func (v *person) forwardTo(p *Partition, target string, statements []statementChange, cause string) {
	to, err := event.ParseLocal(v.addr.Workspace, target)
	if err != nil {
		panic("BUG: link to no address")
	}
	m := &aftertouchv1.TouchForward{Cause: cause}
	size := 0
	for _, s := range statements {
		if s.from == target || s.forwarded.Holder == target {
			continue
		}
		n := s.forwarded.SizeVT() + 8
		if size+n > maxMessageBytes-1024 {
			p.send(v.local, to, &aftertouchv1.Message{Body: &aftertouchv1.Message_Touches{Touches: m}})
			m, size = &aftertouchv1.TouchForward{Cause: cause}, 0
		}
		m.Touches = append(m.Touches, s.forwarded)
		size += n
	}
	if len(m.Touches) > 0 {
		p.send(v.local, to, &aftertouchv1.Message{Body: &aftertouchv1.Message_Touches{Touches: m}})
	}
}
