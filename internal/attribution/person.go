package attribution

import (
	"slices"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/event"
)

// person is a visitor, a user, or a pseudo-visitor: whatever touches are addressed to.
type person struct {
	entityState
	// self is the subject of the person's own touches.
	self subject
	// own are the events addressed to this person and the clicks that it holds, in A5 order.
	own []*ownTouch
	// byID finds the events by their ids; clicks that are held are not in it.
	byID index[*ownTouch]
	// clicks are the redirects' clicks that this visitor adopted, or was given because the redirect knew it.
	clicks map[string]*heldClick
	// links are the addresses that this visitor gives its touches to (D5), in the order they became known.
	links []string
	// given are the touches that linked visitors hold, in A5 order.
	given   []*givenTouch
	givenBy index[*givenTouch]
	// conversions that this person owns, in A5 order, and what it knows of released ones.
	conversions  []*conversion
	conversionBy map[string]*conversion
	// click is what a click's pseudo-visitor knows besides.
	click *clickState
	// origins are those that the encoded state refers to by number.
	origins []*origin

	step step
}

// step is what one record changed so far. It is emptied after each record.
type step struct {
	cause   string
	touches []touchChange
	// statements are those of other holders that are passed on.
	statements []statementChange
	newLinks   []string
	// from and to bound the times of touches that changed for this person's journeys; conversions that changed themselves
	// are marked.
	from, to int64
	touched  bool
	journeys bool
	// pass is a conversion that goes on to the user who owns it.
	pass *aftertouchv1.ConversionOwned
}

func (s *step) reset() {
	clear(s.touches)
	clear(s.statements)
	*s = step{touches: s.touches[:0], statements: s.statements[:0], newLinks: s.newLinks[:0]}
}

// touchedAt notes that a touch at the time changed.
func (s *step) touchedAt(time int64) {
	if !s.touched {
		s.from, s.to, s.touched = time, time, true
		return
	}
	s.from, s.to = min(s.from, time), max(s.to, time)
}

func (v *person) base() *entityState { return &v.entityState }

// isVisitor reports whether the person is a real visitor, one that links and tokens can name.
func (v *person) isVisitor() bool { return v.addr.Kind == event.Visitor && !v.addr.IsPseudo() }

// newPerson returns a person of whom nothing is known. Touches of users and pseudo-visitors belong to no visitor.
func newPerson(addr event.Address) *person {
	v := &person{entityState: entityState{addr: addr, local: addr.Local(), oldestDay: noDay}}
	v.self.entity = v.local
	if v.isVisitor() {
		v.self.visitor = addr.ID
	}
	return v
}

// apply applies a record: first what it changes, then what follows from all of that together, so that a record makes
// at most one version of each journey and one row of each fact.
func (v *person) apply(p *Partition) error {
	defer v.step.reset()
	switch {
	case p.rec.Event != nil:
		if err := v.applyEvent(p, p.rec.Event); err != nil {
			return err
		}
	case p.rec.Message != nil:
		v.applyMessage(p, p.rec.Message)
	}
	return v.conclude(p)
}

func (v *person) applyMessage(p *Partition, m *aftertouchv1.Message) {
	switch body := m.GetBody().(type) {
	case *aftertouchv1.Message_Link:
		v.applyLink(p, body.Link)
	case *aftertouchv1.Message_Touches:
		v.applyTouches(p, m, body.Touches)
	case *aftertouchv1.Message_Owned:
		v.applyOwned(p, body.Owned)
	case *aftertouchv1.Message_Released:
		v.applyReleased(p, body.Released)
	case *aftertouchv1.Message_Ask:
		v.applyQuestion(p, body.Ask)
	case *aftertouchv1.Message_Adopted:
		v.applyAdopted(p, body.Adopted)
	}
}

// conclude derives the effects of the step.
func (v *person) conclude(p *Partition) error {
	if err := v.writeFacts(p); err != nil {
		return err
	}
	if v.click != nil {
		v.tellClick(p)
	}
	v.forward(p)
	v.passConversion(p)
	v.restate(p)
	return nil
}

// findOwn returns the event with the id that was addressed to this person; nil when there is none.
func (v *person) findOwn(id string) *ownTouch { return v.byID.get(touchKey{v.local, id}) }

// insertOwn puts a touch in its place in A5 order.
func (v *person) insertOwn(o *ownTouch) {
	if n := len(v.own); n == 0 || compareOwn(v.own[n-1], o) < 0 {
		v.own = append(v.own, o)
		return
	}
	i, _ := slices.BinarySearchFunc(v.own, o, compareOwn)
	v.own = slices.Insert(v.own, i, o)
}

// removeOwn takes a touch out of the order, to be inserted again elsewhere.
func (v *person) removeOwn(o *ownTouch) {
	i := slices.Index(v.own, o)
	v.own = slices.Delete(v.own, i, i+1)
}

func compareOwn(a, b *ownTouch) int { return compareTouches(&a.touch, &b.touch) }
