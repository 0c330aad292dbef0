package attribution

import (
	"encoding/binary"
	"errors"

	"github.com/aftertouch-io/aftertouch/internal/event"
)

// errCorrupt reports state that this code cannot have written.
var errCorrupt = errors.New("corrupt entity state")

// State is a sequence of operations: a byte that says which, then its fields. Integers are varints, strings are preceded
// by their length. Folding the operations in their order gives the entity.

func putString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func putUint[T ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~int](b []byte, v T) []byte {
	return binary.AppendUvarint(b, uint64(v))
}

func putInt(b []byte, v int64) []byte { return binary.AppendVarint(b, v) }

func putBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

func putPosition(b []byte, p event.Position) []byte {
	return putUint(putUint(putUint(b, p.Epoch), uint32(p.Partition)), uint64(p.Offset))
}

func putRank(b []byte, r event.Rank) []byte {
	return putString(putInt(putInt(b, r.Time), r.ReceivedTime-r.Time), r.EventID)
}

// reader reads fields. Its strings are parts of s, so one copy of an entity's state holds all of its strings. After an
// error every read gives zero, and bad is set.
type reader struct {
	s   string
	bad bool
}

func (r *reader) fail() { r.s, r.bad = "", true }

func (r *reader) byte() byte {
	if len(r.s) == 0 {
		r.fail()
		return 0
	}
	b := r.s[0]
	r.s = r.s[1:]
	return b
}

func (r *reader) uint() uint64 {
	var v uint64
	for i := 0; i < len(r.s) && i < binary.MaxVarintLen64; i++ {
		b := r.s[i]
		v |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			r.s = r.s[i+1:]
			return v
		}
	}
	r.fail()
	return 0
}

func (r *reader) int() int64 {
	v := r.uint()
	return int64(v>>1) ^ -int64(v&1)
}

func (r *reader) string() string {
	n := r.uint()
	if n > uint64(len(r.s)) {
		r.fail()
		return ""
	}
	s := r.s[:n]
	r.s = r.s[n:]
	return s
}

func (r *reader) bool() bool { return r.byte() != 0 }

func (r *reader) position() event.Position {
	return event.Position{Epoch: uint16(r.uint()), Partition: int32(r.uint()), Offset: int64(r.uint())}
}

func (r *reader) rank() event.Rank {
	t := r.int()
	return event.Rank{Time: t, ReceivedTime: t + r.int(), EventID: r.string()}
}

func (r *reader) fixed64() (v uint64) {
	if len(r.s) < 8 {
		r.fail()
		return 0
	}
	for i := range 8 {
		v |= uint64(r.s[i]) << (8 * i)
	}
	r.s = r.s[8:]
	return v
}
