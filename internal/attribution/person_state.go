package attribution

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strings"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/event"
)

// Operations of a person's state. The numbers are stored; append only.
const (
	opOrigin byte = iota + 1
	opOwn
	opDuplicates
	opStated
	opLink
	opClick
	opStatement
	opOwned
	opReleased
	opWritten
	opKnownVisitor
	opAdopter
	opAsker
)

// ownBytes is about how much state one touch takes.
const ownBytes = 80

// Bits that say which parts of an own touch follow.
const (
	ownHeld = 1 << iota
	ownVisitor
	ownClick
	ownDuplicates
	// ownAgain says that the touch is known and has another content now.
	ownAgain
)

func appendBody(b []byte, t *touch) []byte {
	b = putInt(putUint(putString(b, t.id), uint64(t.time)), t.received-t.time)
	b = binary.LittleEndian.AppendUint64(b, t.hash)
	return append(putUint(b, t.flags), byte(t.kind)|byte(t.view)<<4)
}

func (r *reader) body(t *touch) {
	t.id = r.string()
	t.time = int64(r.uint())
	t.received = t.time + r.int()
	t.hash = r.fixed64()
	t.flags = event.TouchFlags(r.uint())
	k := r.byte()
	t.kind, t.view = event.Kind(k&15), aftertouchv1.Impression_Viewability(k>>4)
}

// appendTouch appends all of a touch but its origin.
func appendTouch(b []byte, t *touch) []byte {
	return appendBody(putString(putString(putString(b, t.entity), t.visitor), t.click), t)
}

func (p *Partition) readTouch(r *reader) (t touch) {
	t.subject = p.subject(r.string(), r.string())
	t.click = r.string()
	r.body(&t)
	return t
}

// appendOriginOp makes sure that the state has the origin, and returns its number in it.
func (v *person) appendOriginOp(b []byte, o *origin) ([]byte, int) {
	for i, known := range v.origins {
		if known == o {
			return b, i
		}
	}
	v.origins = append(v.origins, o)
	return appendOrigin(append(b, opOrigin), o), len(v.origins) - 1
}

func (v *person) appendOwn(b []byte, o *ownTouch, again bool) []byte {
	b, n := v.appendOriginOp(b, o.origin)
	var parts byte
	if o.held {
		parts |= ownHeld
	}
	if o.visitor != v.self.visitor {
		parts |= ownVisitor
	}
	if o.click != "" {
		parts |= ownClick
	}
	if o.duplicates > 0 {
		parts |= ownDuplicates
	}
	if again {
		parts |= ownAgain
	}
	b = putUint(append(b, opOwn, parts), n)
	b = appendBody(b, &o.touch)
	if parts&ownVisitor != 0 {
		b = putString(b, o.visitor)
	}
	if parts&ownClick != 0 {
		b = putString(b, o.click)
	}
	if parts&ownDuplicates != 0 {
		b = putUint(b, o.duplicates)
	}
	b = putInt(putUint(b, o.seenDay), int64(o.logDay)-int64(o.seenDay))
	return putPosition(b, o.stated)
}

// readOwn reads into o, whose fields are zero, and reports whether the touch is known.
func (v *person) readOwn(p *Partition, r *reader, o *ownTouch) (again bool) {
	parts, n := r.byte(), r.uint()
	if n >= uint64(len(v.origins)) {
		r.fail()
		return false
	}
	o.held, o.origin, o.verdict = parts&ownHeld != 0, v.origins[n], isUnknown
	r.body(&o.touch)
	o.subject = &v.self
	if o.held {
		o.subject = p.subject(event.ClickAddress(v.addr.Workspace, o.id).Local(), v.self.visitor)
	}
	if parts&ownVisitor != 0 {
		o.subject = p.subject(o.entity, r.string())
	}
	if parts&ownClick != 0 {
		o.click = r.string()
	}
	if parts&ownDuplicates != 0 {
		o.duplicates = uint32(r.uint())
	}
	o.seenDay = uint16(r.uint())
	o.logDay = uint16(int64(o.seenDay) + r.int())
	o.stated = r.position()
	return parts&ownAgain != 0
}

func appendDuplicates(b []byte, o *ownTouch) []byte {
	return putUint(putString(append(b, opDuplicates), o.id), o.duplicates)
}

func appendStated(b []byte, o *ownTouch) []byte {
	return putPosition(putString(putBool(append(b, opStated), o.held), o.id), o.stated)
}

func appendClick(b []byte, id string, c *heldClick) []byte {
	b = putBool(putString(append(b, opClick), id), c.adopted)
	b = putRank(b, c.first)
	return putUint(putPosition(putBool(b, c.known), c.source), c.seenDay)
}

func (v *person) appendStatement(b []byte, s *statement, seenDay uint16) []byte {
	n := 0
	if !s.withdrawn {
		b, n = v.appendOriginOp(b, s.origin)
	}
	b = putBool(putUint(append(b, opStatement), seenDay), s.withdrawn)
	b = putPosition(putString(b, s.holder), s.position)
	if s.withdrawn {
		return putString(putString(b, s.entity), s.id)
	}
	return appendTouch(putUint(append(b, byte(s.verdict)), n), &s.touch)
}

func (v *person) readStatement(p *Partition, r *reader) (s statement, seenDay uint16) {
	seenDay, s.withdrawn = uint16(r.uint()), r.bool()
	s.holder, s.position = r.string(), r.position()
	if s.withdrawn {
		s.subject, s.id, s.origin = p.subject(r.string(), ""), r.string(), &origin{}
		return s, seenDay
	}
	s.verdict = verdict(r.byte())
	n := r.uint()
	if n >= uint64(len(v.origins)) || s.verdict >= isNoTouch {
		r.fail()
		return s, seenDay
	}
	s.touch = p.readTouch(r)
	s.origin = v.origins[n]
	return s, seenDay
}

func appendConversion(b []byte, c *conversion) []byte {
	if !c.owned {
		b = putString(append(b, opReleased), c.order)
		return putUint(putPosition(b, c.position), c.seenDay)
	}
	b = putPosition(putUint(append(b, opOwned), c.seenDay), c.position)
	return appendConversionProto(binary.AppendUvarint(b, uint64(c.canonical.SizeVT())), c.canonical)
}

func appendConversionProto(b []byte, c *aftertouchv1.CanonicalConversion) []byte {
	n := c.SizeVT()
	b = slices.Grow(b, n)
	if _, err := c.MarshalToSizedBufferVT(b[len(b) : len(b)+n]); err != nil {
		panic("BUG: encoding a conversion: " + err.Error())
	}
	return b[:len(b)+n]
}

func appendWritten(b []byte, c *conversion) []byte {
	b = putString(append(b, opWritten), c.order)
	return putInt(binary.LittleEndian.AppendUint64(b, c.written), c.writtenTime)
}

func appendAdopter(b []byte, a adopter) []byte {
	return putRank(putString(append(b, opAdopter), a.visitor), a.first)
}

func (p *Partition) keepOwn(v *person, o *ownTouch, again bool) {
	p.change(v, func(b []byte) []byte { return v.appendOwn(b, o, again) })
}

func (p *Partition) keepClick(v *person, id string, c *heldClick) {
	p.change(v, func(b []byte) []byte { return appendClick(b, id, c) })
}

func (p *Partition) keepStatement(v *person, g *givenTouch, s *statement) {
	p.change(v, func(b []byte) []byte { return v.appendStatement(b, s, g.seenDay) })
}

func (p *Partition) keepConversion(v *person, c *conversion) {
	p.change(v, func(b []byte) []byte { return appendConversion(b, c) })
	v.garbage += 200
}

func (p *Partition) keepWritten(v *person, c *conversion) {
	p.change(v, func(b []byte) []byte { return appendWritten(b, c) })
	v.garbage += len(c.order) + 12
}

// encode appends the operations that make the person as it is.
func (v *person) encode(b []byte) []byte {
	v.origins = v.origins[:0]
	for _, o := range v.own {
		b = v.appendOwn(b, o, false)
	}
	for _, target := range v.links {
		b = putString(append(b, opLink), target)
	}
	for _, o := range v.own {
		if o.held {
			b = appendClick(b, o.id, v.clicks[o.id])
		}
	}
	for _, g := range sortedGiven(&v.givenBy) {
		for i := range g.statements {
			b = v.appendStatement(b, &g.statements[i], g.seenDay)
		}
	}
	for _, c := range sortedConversions(v.conversionBy) {
		b = appendConversion(b, c)
		if c.written != 0 {
			b = appendWritten(b, c)
		}
	}
	if v.click != nil {
		for _, visitor := range v.click.known {
			b = putString(append(b, opKnownVisitor), visitor)
		}
		for _, a := range v.click.adopters {
			b = appendAdopter(b, a)
		}
		for _, order := range v.click.askers {
			b = putString(append(b, opAsker), order)
		}
	}
	return b
}

func sortedGiven(x *index[*givenTouch]) []*givenTouch {
	return slices.SortedFunc(x.all, func(a, b *givenTouch) int {
		return cmp.Or(strings.Compare(a.key.entity, b.key.entity), strings.Compare(a.key.id, b.key.id))
	})
}

func sortedConversions(m map[string]*conversion) []*conversion {
	all := make([]*conversion, 0, len(m))
	for _, c := range m {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b *conversion) int { return strings.Compare(a.order, b.order) })
	return all
}
