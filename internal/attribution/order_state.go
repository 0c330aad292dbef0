package attribution

import (
	"encoding/binary"
	"slices"
	"strings"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/event"
)

// Operations of an order's state. The numbers are stored; append only.
const (
	opRecord byte = iota + 1
	opOrderDuplicates
	opOrderVisitor
	opOrderUser
	opOrderBearing
	opAnswer
	opAsked
	opOrderPosition
)

// recordBytes is about how much state one record takes.
const recordBytes = 160

func appendRecord(b []byte, r *orderRecord) []byte {
	b = putUint(append(b, opRecord, byte(r.is)), r.duplicates)
	b = putInt(putUint(b, r.seenDay), int64(r.logDay)-int64(r.seenDay))
	b = putString(putString(putString(putString(b, r.id), r.action), r.scope), r.orderID)
	b = putInt(putUint(b, uint64(r.time)), r.received-r.time)
	b = binary.LittleEndian.AppendUint64(b, r.hash)
	b = putInt(putString(putString(b, r.user), r.visitor), r.value)
	b = putUint(putString(b, r.currency), len(r.codes))
	for _, c := range r.codes {
		b = putBool(putString(b, c.code), c.origin != nil)
		if c.origin != nil {
			b = appendOrigin(b, c.origin)
		}
	}
	b = putBool(b, r.click != nil)
	if r.click != nil {
		b = appendOrigin(appendTouch(b, r.click), r.click.origin)
	}
	return b
}

func (p *Partition) readRecord(workspace string, r *reader) *orderRecord {
	rec := &orderRecord{is: recordBits(r.byte()), duplicates: uint32(r.uint()), seenDay: uint16(r.uint())}
	rec.logDay = uint16(int64(rec.seenDay) + r.int())
	rec.id, rec.action, rec.scope, rec.orderID = r.string(), r.string(), r.string(), r.string()
	rec.time = int64(r.uint())
	rec.received, rec.hash = rec.time+r.int(), r.fixed64()
	rec.user, rec.visitor, rec.value, rec.currency = r.string(), r.string(), r.int(), r.string()
	for n := r.uint(); n > 0 && !r.bad; n-- {
		c := orderCode{code: r.string()}
		if r.bool() {
			c.origin = p.readOrigin(workspace, r)
		}
		rec.codes = append(rec.codes, c)
	}
	if r.bool() {
		click := p.readTouch(r)
		click.origin = p.readOrigin(workspace, r)
		rec.click = &click
	}
	return rec
}

func (p *Partition) readOrigin(workspace string, r *reader) *origin {
	o := r.origin()
	return p.intern(workspace, &o)
}

func appendOrderDuplicates(b []byte, r *orderRecord) []byte {
	return putUint(putString(append(b, opOrderDuplicates), r.id), r.duplicates)
}

func appendOrderBearing(b []byte, k bearingKey, first event.Rank) []byte {
	return putRank(putString(putString(append(b, opOrderBearing), k.visitor), k.click), first)
}

func appendAnswer(b []byte, a *clickAnswer) []byte {
	encoded, err := a.answer.MarshalVT()
	if err != nil {
		panic("BUG: encoding an answer: " + err.Error())
	}
	return putString(putPosition(append(b, opAnswer), a.position), string(encoded))
}

// encode appends the operations that make the order as it is.
func (o *order) encode(b []byte) []byte {
	for _, r := range o.records {
		b = appendRecord(b, r)
	}
	for _, visitor := range o.visitors {
		b = putString(append(b, opOrderVisitor), visitor)
	}
	for _, user := range o.users {
		b = putString(append(b, opOrderUser), user)
	}
	for _, k := range sortedBearings(o.bearings) {
		b = appendOrderBearing(b, k, o.bearings[k])
	}
	for _, id := range o.asked {
		b = putString(append(b, opAsked), id)
		if a := o.answers[id]; a != nil {
			b = appendAnswer(b, a)
		}
	}
	if o.canonical != nil {
		b = putPosition(append(b, opOrderPosition), o.position)
	}
	return b
}

func sortedBearings(m map[bearingKey]event.Rank) []bearingKey {
	keys := make([]bearingKey, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b bearingKey) int {
		if c := strings.Compare(a.visitor, b.visitor); c != 0 {
			return c
		}
		return strings.Compare(a.click, b.click)
	})
	return keys
}

// decodeOrder folds an order's operations.
func (p *Partition) decodeOrder(addr event.Address, state []byte) (*order, error) {
	o := &order{entityState: entityState{addr: addr, local: addr.Local(), size: len(state), oldestDay: noDay}}
	r := reader{s: string(state)}
	for len(r.s) > 0 && !r.bad {
		o.fold(p, &r)
	}
	if r.bad {
		return nil, errCorrupt
	}
	o.summarize()
	if (o.position != event.Position{}) && len(o.records) > 0 {
		o.canonical = o.canonicalConversion(p)
		o.canonical.OrderPosition = positionProto(o.position)
	}
	return o, nil
}

func (o *order) fold(p *Partition, r *reader) {
	switch r.byte() {
	case opRecord:
		o.foldRecord(p.readRecord(o.addr.Workspace, r))
	case opOrderDuplicates:
		id, n := r.string(), r.uint()
		if known := o.byID.get(touchKey{id: id}); known != nil {
			known.duplicates = uint32(n)
		}
	case opOrderVisitor:
		o.visitors = append(o.visitors, r.string())
	case opOrderUser:
		o.users = append(o.users, r.string())
	case opOrderBearing:
		if o.bearings == nil {
			o.bearings = map[bearingKey]event.Rank{}
		}
		o.bearings[bearingKey{r.string(), r.string()}] = r.rank()
	case opAnswer:
		o.foldAnswer(r)
	case opAsked:
		o.asked = append(o.asked, r.string())
	case opOrderPosition:
		o.position = r.position()
	default:
		r.fail()
	}
}

func (o *order) foldRecord(r *orderRecord) {
	if known := o.byID.get(r.touchKey()); known != nil {
		*known = *r
	} else {
		o.records = append(o.records, r)
		o.byID.put(r)
	}
	o.oldestDay = r.seenDay
}

func (o *order) foldAnswer(r *reader) {
	at, encoded := r.position(), r.string()
	a := &aftertouchv1.ClickAnswer{}
	if err := a.UnmarshalVT([]byte(encoded)); err != nil {
		r.fail()
		return
	}
	if o.answers == nil {
		o.answers = map[string]*clickAnswer{}
	}
	o.answers[a.ClickEventId] = &clickAnswer{at, a}
}

// expire drops the whole order: its newest record was seen over the horizon ago.
func (o *order) expire(p *Partition) {
	*o = order{entityState: o.entityState}
	o.oldestDay = noDay
	p.rewrite(o)
}

// memory returns about how many bytes the order takes.
func (o *order) memory() int64 {
	return int64(1500 + cap(o.delta) + 450*len(o.records) + 100*len(o.bearings))
}
