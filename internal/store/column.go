package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"slices"

	chproto "github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2/lib/column"
)

// cells is the buffer of one column of a table, in the encoding of ClickHouse's Native format. Every row adds one cell to
// each column.
type cells interface {
	name() string
	// wire is the type that the cells are encoded as: the table's, or one that the engine casts to it.
	wire() string
	// blank reports whether every cell is the column's default, so that the column need not be sent.
	blank() bool
	// encoded appends the parts of the column's encoding to parts. They are valid until the next add or reset.
	encoded(parts [][]byte) [][]byte
	reset()
}

// fill hands the encoding of rows cells to a column that the client will send over the native protocol.
func fill(dst column.Interface, c cells, rows int) error {
	r := chproto.NewReader(readerOf(c.encoded(nil)))
	if s, ok := dst.(column.CustomSerialization); ok {
		if err := s.ReadStatePrefix(r); err != nil {
			return fmt.Errorf("filling column %s: %w", c.name(), err)
		}
	}
	if err := dst.Decode(r, rows); err != nil {
		return fmt.Errorf("filling column %s: %w", c.name(), err)
	}
	return nil
}

func readerOf(parts [][]byte) io.Reader {
	readers := make([]io.Reader, len(parts))
	for i, p := range parts {
		readers[i] = bytes.NewReader(p)
	}
	return io.MultiReader(readers...)
}

// plain is a column whose encoding is that of its cells one after the other.
type plain struct {
	columnName string
	wireType   string
	filled     bool
	buf        []byte
}

func (c *plain) name() string                    { return c.columnName }
func (c *plain) wire() string                    { return c.wireType }
func (c *plain) blank() bool                     { return !c.filled }
func (c *plain) encoded(parts [][]byte) [][]byte { return append(parts, c.buf) }
func (c *plain) reset()                          { c.buf, c.filled = c.buf[:0], false }

// texts are the cells of a String.
type texts struct{ plain }

func (c *texts) add(v string) {
	c.buf = appendText(c.buf, v)
	c.filled = c.filled || v != ""
}

func appendText(b []byte, v string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(v))), v...)
}

// integer is what fits into at most 8 bytes.
type integer interface {
	~int8 | ~int16 | ~int32 | ~int64 | ~uint8 | ~uint16 | ~uint32 | ~uint64
}

// numbers are the cells of a column of width bytes.
type numbers[T integer] struct {
	plain
	width int
}

func (c *numbers[T]) add(v T) {
	c.buf = binary.LittleEndian.AppendUint64(c.buf, uint64(v))
	c.buf = c.buf[:len(c.buf)-8+c.width]
	c.filled = c.filled || v != 0
}

// flags are the cells of a Bool.
type flags struct{ plain }

func (c *flags) add(v bool) {
	c.buf = append(c.buf, bit(v))
	c.filled = c.filled || v
}

func bit(v bool) byte {
	if v {
		return 1
	}
	return 0
}

// hashes are the cells of a FixedString(16).
type hashes struct{ plain }

func (c *hashes) add(v [16]byte) {
	c.buf = append(c.buf, v[:]...)
	c.filled = c.filled || v != [16]byte{}
}

// wides are the cells of a UInt128.
type wides struct{ plain }

func (c *wides) add(v Version) {
	c.buf = binary.LittleEndian.AppendUint64(c.buf, v.Low)
	c.buf = binary.LittleEndian.AppendUint64(c.buf, v.High)
	c.filled = c.filled || v != Version{}
}

// words are the cells of a LowCardinality(String): a dictionary and, for each cell, its place in it.
type words struct {
	plain // buf is the dictionary
	index map[string]uint32
	keys  []uint32
	// last and lastKey save the look-up of a value that repeats.
	last    string
	lastKey uint32
	head    [24]byte
	tail    []byte
}

// Constants of the encoding of LowCardinality: the version of the key's serialization, and flags beside the keys' width.
const (
	sharedDictionaries = 1
	additionalKeys     = 1 << 9
	updateDictionary   = 1 << 10
)

func (c *words) add(v string) {
	if v != c.last || len(c.keys) == 0 {
		c.last, c.lastKey = v, c.key(v)
	}
	c.keys = append(c.keys, c.lastKey)
	c.filled = c.filled || v != ""
}

// key returns v's place in the dictionary, whose first word is the default.
func (c *words) key(v string) uint32 {
	if len(c.index) == 0 {
		c.index[""] = 0
		c.buf = append(c.buf, 0)
	}
	k, ok := c.index[v]
	if !ok {
		k = uint32(len(c.index))
		c.index[v] = k
		c.buf = appendText(c.buf, v)
	}
	return k
}

// encoded writes the version, the flags with the keys' width, the dictionary and the keys.
func (c *words) encoded(parts [][]byte) [][]byte {
	if len(c.keys) == 0 {
		return append(parts, binary.LittleEndian.AppendUint64(c.head[:0], sharedDictionaries))
	}
	width, log := 4, uint64(2)
	switch n := len(c.index); {
	case n <= 1<<8:
		width, log = 1, 0
	case n <= 1<<16:
		width, log = 2, 1
	}
	head := binary.LittleEndian.AppendUint64(c.head[:0], sharedDictionaries)
	head = binary.LittleEndian.AppendUint64(head, additionalKeys|updateDictionary|log)
	head = binary.LittleEndian.AppendUint64(head, uint64(len(c.index)))
	tail := binary.LittleEndian.AppendUint64(c.tail[:0], uint64(len(c.keys)))
	tail = slices.Grow(tail, width*len(c.keys)+8)
	for _, k := range c.keys {
		tail = binary.LittleEndian.AppendUint64(tail, uint64(k))
		tail = tail[:len(tail)-8+width]
	}
	c.tail = tail
	return append(parts, head, c.buf, tail)
}

// reset also empties the dictionary: it holds strings of events.
func (c *words) reset() {
	c.plain.reset()
	clear(c.index)
	c.keys, c.last, c.lastKey = c.keys[:0], "", 0
}

// nested is what arrays and maps have in common: where each row's elements end.
type nested struct {
	columnName string
	elements   []cells
	wireType   string
	count      uint64
	ends       []byte
}

func (c *nested) name() string { return c.columnName }
func (c *nested) wire() string { return c.wireType }
func (c *nested) blank() bool  { return c.count == 0 }

// end closes the row that the elements added since the last call make.
func (c *nested) end() { c.ends = binary.LittleEndian.AppendUint64(c.ends, c.count) }

func (c *nested) encoded(parts [][]byte) [][]byte {
	parts = append(parts, c.ends)
	for _, e := range c.elements {
		parts = e.encoded(parts)
	}
	return parts
}

func (c *nested) reset() {
	c.count, c.ends = 0, c.ends[:0]
	for _, e := range c.elements {
		e.reset()
	}
}

// adder is a buffer of cells of type T.
type adder[T any] interface {
	cells
	add(v T)
}

// arrays are the cells of an Array.
type arrays[T any, C adder[T]] struct {
	nested
	of C
}

// add adds an element to the row that the next call of end closes.
func (c *arrays[T, C]) add(v T) {
	c.of.add(v)
	c.count++
}

// encoded puts the dictionaries' version before the ends, where the format has it.
func (c *arrays[T, C]) encoded(parts [][]byte) [][]byte {
	if _, ok := any(c.of).(*words); !ok {
		return c.nested.encoded(parts)
	}
	inner := c.of.encoded(nil)
	parts = append(parts, inner[0][:8], c.ends)
	if len(inner) == 1 {
		return parts
	}
	return append(append(parts, inner[0][8:]), inner[1:]...)
}

// maps are the cells of a Map(String, V).
type maps[V any, C adder[V]] struct {
	nested
	keys   *texts
	values C
	sorted []string
}

// add adds one row. The keys are written in order, so that one map has one encoding.
func (c *maps[V, C]) add(m map[string]V) {
	c.sorted = c.sorted[:0]
	for k := range m {
		c.sorted = append(c.sorted, k)
	}
	slices.Sort(c.sorted)
	for _, k := range c.sorted {
		c.keys.add(k)
		c.values.add(m[k])
	}
	c.count += uint64(len(m))
	c.end()
}
