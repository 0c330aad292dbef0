package attribution

import (
	"slices"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/event"
)

// decodePerson folds a person's operations.
func (p *Partition) decodePerson(addr event.Address, state []byte) (*person, error) {
	v := newPerson(addr)
	v.size = len(state)
	if len(state) == 0 {
		return v, nil
	}
	r := reader{s: string(state)}
	var s slabs
	for len(r.s) > 0 && !r.bad {
		s.size = len(r.s)/ownBytes + 2
		v.fold(p, &r, &s)
	}
	if r.bad {
		return nil, errCorrupt
	}
	v.folded()
	return v, nil
}

// fold applies one operation.
func (v *person) fold(p *Partition, r *reader, slabs *slabs) {
	switch op := r.byte(); op {
	case opOrigin:
		v.foldOrigin(p, r)
	case opOwn:
		v.foldOwn(p, r, slabs)
	case opDuplicates:
		id, n := r.string(), r.uint()
		if o := v.findOwn(id); o != nil {
			o.duplicates = uint32(n)
		}
	case opStated:
		v.foldStated(r)
	case opLink:
		v.links = append(v.links, r.string())
	case opClick:
		v.foldClick(r)
	case opStatement:
		v.foldStatement(p, r, slabs)
	case opOwned, opReleased, opWritten:
		v.foldConversion(r, op)
	case opKnownVisitor:
		c := v.foldedClick()
		c.known = append(c.known, r.string())
	case opAdopter:
		v.foldedClick().adopt(adopter{r.string(), r.rank()})
	case opAsker:
		c := v.foldedClick()
		c.askers = append(c.askers, r.string())
	default:
		r.fail()
	}
}

func (v *person) foldOrigin(p *Partition, r *reader) {
	encoded := r.s
	r.origin()
	if r.bad {
		return
	}
	encoded = encoded[:len(encoded)-len(r.s)]
	p.scratch = append(append(append(p.scratch[:0], v.addr.Workspace...), 0), encoded...)
	v.origins = append(v.origins, p.internKey(len(v.addr.Workspace)+1))
}

func (v *person) foldOwn(p *Partition, r *reader, slabs *slabs) {
	o := slabs.ownTouch()
	again := v.readOwn(p, r, o)
	if r.bad {
		return
	}
	if again {
		v.foldAgain(r, o)
		return
	}
	v.own = append(v.own, o)
	if o.held {
		v.foldedHeld(o.id).touch = o
	} else {
		v.byID.put(o)
	}
}

// foldAgain gives a known touch another content.
func (v *person) foldAgain(r *reader, o *ownTouch) {
	known := v.foldedOwn(o.held, o.id)
	if known == nil {
		r.fail()
		return
	}
	*known = *o
}

func (v *person) foldedOwn(held bool, id string) *ownTouch {
	if !held {
		return v.findOwn(id)
	}
	if c := v.clicks[id]; c != nil {
		return c.touch
	}
	return nil
}

func (v *person) foldedHeld(id string) *heldClick {
	c := v.clicks[id]
	if c == nil {
		c = &heldClick{}
		if v.clicks == nil {
			v.clicks = map[string]*heldClick{}
		}
		v.clicks[id] = c
	}
	return c
}

func (v *person) foldStated(r *reader) {
	held, id := r.bool(), r.string()
	at := r.position()
	if o := v.foldedOwn(held, id); o != nil {
		o.stated = at
	}
}

func (v *person) foldClick(r *reader) {
	c := v.foldedHeld(r.string())
	c.adopted, c.first = r.bool(), r.rank()
	c.known, c.source, c.seenDay = r.bool(), r.position(), uint16(r.uint())
	if c.touch == nil {
		r.fail()
	}
}

func (v *person) foldStatement(p *Partition, r *reader, slabs *slabs) {
	s, seenDay := v.readStatement(p, r)
	key := touchKey{s.entity, s.id}
	g := v.givenBy.get(key)
	if g == nil {
		g = slabs.givenTouch(key, seenDay)
		v.givenBy.put(g)
	}
	if known := g.of(s.holder); known != nil {
		*known = s
	} else if g.statements == nil {
		g.statements = slabs.statement(s)
	} else {
		g.statements = append(g.statements, s)
	}
}

func (v *person) foldConversion(r *reader, op byte) {
	switch op {
	case opOwned:
		seenDay, at := uint16(r.uint()), r.position()
		canonical := &aftertouchv1.CanonicalConversion{}
		if err := canonical.UnmarshalVT([]byte(r.string())); err != nil {
			r.fail()
			return
		}
		c := v.foldedConversion(canonical.Order, seenDay)
		c.position, c.owned, c.canonical = at, true, canonical
	case opReleased:
		order, at := r.string(), r.position()
		c := v.foldedConversion(order, uint16(r.uint()))
		c.position, c.owned, c.canonical, c.written, c.writtenTime = at, false, nil, 0, 0
	case opWritten:
		c := v.conversionBy[r.string()]
		if c == nil {
			r.fail()
			return
		}
		c.written, c.writtenTime = r.fixed64(), r.int()
	}
}

func (v *person) foldedConversion(order string, seenDay uint16) *conversion {
	c := v.conversionBy[order]
	if c == nil {
		c = &conversion{order: order, seenDay: seenDay}
		if v.conversionBy == nil {
			v.conversionBy = map[string]*conversion{}
		}
		v.conversionBy[order] = c
	}
	return c
}

func (v *person) foldedClick() *clickState {
	if v.click == nil {
		v.click = &clickState{}
	}
	return v.click
}

// folded puts everything in order once all operations are applied.
func (v *person) folded() {
	if !slices.IsSortedFunc(v.own, compareOwn) {
		slices.SortFunc(v.own, compareOwn)
	}
	for g := range v.givenBy.all {
		if g.choose(); g.best != nil {
			v.given = append(v.given, g)
		}
	}
	slices.SortFunc(v.given, func(a, b *givenTouch) int { return compareTouches(&a.best.touch, &b.best.touch) })
	for _, c := range v.conversionBy {
		if c.owned {
			v.conversions = append(v.conversions, c)
		}
	}
	slices.SortFunc(v.conversions, compareConversions)
	v.findOldestDay()
}

// findOldestDay finds the day of what was seen first of all that the person keeps.
func (v *person) findOldestDay() {
	v.oldestDay = noDay
	for _, o := range v.own {
		v.oldestDay = min(v.oldestDay, o.seenDay)
	}
	for g := range v.givenBy.all {
		v.oldestDay = min(v.oldestDay, g.seenDay)
	}
	for _, c := range v.conversionBy {
		v.oldestDay = min(v.oldestDay, c.seenDay)
	}
}

// expire drops what was first seen over the horizon ago. Links stay: only erasure removes one.
func (v *person) expire(p *Partition) {
	last := p.clock.day() - horizonDays
	v.own = slices.DeleteFunc(v.own, func(o *ownTouch) bool {
		o.verdict, o.silent = isUnknown, false
		if o.seenDay >= last {
			return false
		}
		if o.held {
			delete(v.clicks, o.id)
		}
		return true
	})
	v.byID.retain(func(o *ownTouch) bool { return o.seenDay >= last })
	v.given = slices.DeleteFunc(v.given, func(g *givenTouch) bool { return g.seenDay < last })
	v.givenBy.retain(func(g *givenTouch) bool { return g.seenDay >= last })
	v.conversions = slices.DeleteFunc(v.conversions, func(c *conversion) bool { return c.seenDay < last })
	for order, c := range v.conversionBy {
		if c.seenDay < last {
			delete(v.conversionBy, order)
		}
	}
	v.findOldestDay()
	p.rewrite(v)
}

// memory returns about how many bytes the person takes.
func (v *person) memory() int64 {
	return int64(512 + 220*len(v.own) + 350*v.givenBy.len() + 1000*len(v.conversionBy) + cap(v.delta))
}
