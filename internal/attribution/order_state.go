package attribution

import (
	"crypto/sha256"
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

func appendRecord(b []byte, r *orderRecord) []byte {
	b = putUint(append(b, opRecord), r.duplicates)
	b = putInt(putUint(b, r.seenDay), int64(r.logDay)-int64(r.seenDay))
	return append(binary.AppendUvarint(b, uint64(len(r.payload))), r.payload...)
}

func appendOrderDuplicates(b []byte, r *orderRecord) []byte {
	return putUint(putString(append(b, opOrderDuplicates), r.event.EventId), r.duplicates)
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
		o.fold(&r)
	}
	if r.bad {
		return nil, errCorrupt
	}
	if (o.position != event.Position{}) && len(o.records) > 0 {
		o.canonical = o.canonicalConversion(p)
		o.canonical.OrderPosition = positionProto(o.position)
	}
	return o, nil
}

func (o *order) fold(r *reader) {
	switch r.byte() {
	case opRecord:
		o.foldRecord(r)
	case opOrderDuplicates:
		id, n := r.string(), r.uint()
		if known := o.find(id); known != nil {
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

func (o *order) foldRecord(r *reader) {
	rec := &orderRecord{duplicates: uint32(r.uint()), seenDay: uint16(r.uint())}
	rec.logDay = uint16(int64(rec.seenDay) + r.int())
	rec.payload = []byte(r.string())
	rec.event = &aftertouchv1.Event{}
	if err := rec.event.UnmarshalVT(rec.payload); err != nil || rec.event.GetConversion() == nil {
		r.fail()
		return
	}
	rec.received = max(event.Millis(rec.event.GetStamps().GetReceivedTime()), 0)
	rec.time = correctedTime(rec.event, rec.received)
	sum := sha256.Sum256(rec.payload)
	rec.hash = binary.BigEndian.Uint64(sum[:8])
	if known := o.find(rec.event.EventId); known != nil {
		*known = *rec
	} else {
		o.records = append(o.records, rec)
	}
	o.oldestDay = rec.seenDay
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
	n := int64(1500 + cap(o.delta))
	for _, r := range o.records {
		n += int64(1500 + 2*len(r.payload))
	}
	return n
}
