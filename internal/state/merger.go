package state

import (
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// A stored value is the log day of its newest delta (2 bytes, big endian) and the concatenated deltas, oldest first.
const headerSize = 2

var errShortValue = errors.New("state: stored value without a header")

// merger concatenates deltas and keeps the newest day. A touch is thereby a small write without a read.
var merger = &pebble.Merger{
	Name: "aftertouch.deltas.v1",
	Merge: func(_, value []byte) (pebble.ValueMerger, error) {
		m := mergers.Get().(*deltaMerger)
		m.day, m.buf, m.ends, m.older = 0, m.buf[:0], m.ends[:0], false
		return m, m.add(value)
	},
}

// mergers keep their buffers from one state to the next: every read of a state merges.
var mergers = sync.Pool{New: func() any { return new(deltaMerger) }}

// maxPooled is the size from which a merger's buffers are left to the garbage collector.
const maxPooled = 1 << 20

// deltaMerger gathers operands in the order of their arrival, one after the other in one buffer, and brings them into
// the order of their age once, in Finish: prepending each operand would copy the state once for each delta.
type deltaMerger struct {
	day      uint16
	buf, out []byte
	ends     []int
	older    bool
}

func (m *deltaMerger) add(value []byte) error {
	if len(value) < headerSize {
		return errShortValue
	}
	m.day = max(m.day, binary.BigEndian.Uint16(value))
	m.buf = append(m.buf, value[headerSize:]...)
	m.ends = append(m.ends, len(m.buf))
	return nil
}

// MergeNewer adds an operand that is newer than those before.
func (m *deltaMerger) MergeNewer(value []byte) error { return m.add(value) }

// MergeOlder adds an operand that is older than those before.
func (m *deltaMerger) MergeOlder(value []byte) error {
	m.older = true
	return m.add(value)
}

// Finish returns the merged value, which is good until the closer, the merger itself, is closed.
func (m *deltaMerger) Finish(bool) ([]byte, io.Closer, error) {
	m.out = binary.BigEndian.AppendUint16(m.out[:0], m.day)
	if !m.older {
		m.out = append(m.out, m.buf...)
		return m.out, m, nil
	}
	m.out = slices.Grow(m.out, len(m.buf))
	for i := range slices.Backward(m.ends) {
		start := 0
		if i > 0 {
			start = m.ends[i-1]
		}
		m.out = append(m.out, m.buf[start:m.ends[i]]...)
	}
	return m.out, m, nil
}

// Close gives the merger's buffers to another state.
func (m *deltaMerger) Close() error {
	if cap(m.buf)+cap(m.out) <= maxPooled {
		mergers.Put(m)
	}
	return nil
}
