package store

import (
	"math/big"
	"math/bits"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/column"
)

// cells is the buffer of one column of a table. Every row adds one cell to each column.
type cells interface {
	// name is the table's name for the column.
	name() string
	// wire is the type that the cells are sent as over HTTP, where the engine casts. Types that the client fills slowly,
	// LowCardinality and Enum, are sent as plain ones. Over the native protocol the table's type is used.
	wire() string
	// blank reports whether every cell is the column's default, so that the column need not be sent.
	blank() bool
	// fill appends all cells to the client's column.
	fill(dst column.Interface) error
	reset()
}

// head is what all buffers have in common.
type head struct {
	columnName string
	wireType   string
	filled     bool
}

func (h *head) name() string { return h.columnName }
func (h *head) wire() string { return h.wireType }
func (h *head) blank() bool  { return !h.filled }

// texts are the cells of a String or LowCardinality(String).
type texts struct {
	head
	values []string
}

func (c *texts) add(v string) {
	c.values = append(c.values, v)
	c.filled = c.filled || v != ""
}

func (c *texts) fill(dst column.Interface) error {
	low, ok := dst.(*column.LowCardinality)
	if !ok {
		return fillWith(dst, c.values)
	}
	boxed := make(map[string]any)
	for _, v := range c.values {
		if err := low.AppendRow(box(boxed, v)); err != nil {
			return err
		}
	}
	return nil
}

func (c *texts) reset() {
	clear(c.values) // the strings belong to events that may be freed
	c.values, c.filled = c.values[:0], false
}

// box returns v in an interface, allocated once for each different string.
func box(boxed map[string]any, v string) any {
	b, ok := boxed[v]
	if !ok {
		b = v
		boxed[v] = b
	}
	return b
}

// numbers are the cells of a column of fixed width; T is what the client takes for it.
type numbers[T comparable] struct {
	head
	values []T
}

func (c *numbers[T]) add(v T) {
	var zero T
	c.values = append(c.values, v)
	c.filled = c.filled || v != zero
}

func (c *numbers[T]) fill(dst column.Interface) error { return fillWith(dst, c.values) }

func (c *numbers[T]) reset() { c.values, c.filled = c.values[:0], false }

// days are the cells of a Date: days since 1970-01-01.
type days struct {
	head
	values []uint16
}

func (c *days) add(v uint16) {
	c.values = append(c.values, v)
	c.filled = c.filled || v != 0
}

func (c *days) fill(dst column.Interface) error {
	values := make([]time.Time, len(c.values))
	for i, v := range c.values {
		values[i] = time.Unix(int64(v)*86400, 0).UTC()
	}
	return fillWith(dst, values)
}

func (c *days) reset() { c.values, c.filled = c.values[:0], false }

// hashes are the cells of a FixedString(16).
type hashes struct {
	head
	bytes []byte
}

func (c *hashes) add(v [16]byte) {
	c.bytes = append(c.bytes, v[:]...)
	c.filled = c.filled || v != [16]byte{}
}

func (c *hashes) fill(dst column.Interface) error {
	all := string(c.bytes)
	values := make([]string, 0, len(all)/16)
	for i := 0; i < len(all); i += 16 {
		values = append(values, all[i:i+16])
	}
	return fillWith(dst, values)
}

func (c *hashes) reset() { c.bytes, c.filled = c.bytes[:0], false }

// wides are the cells of a UInt128.
type wides struct {
	head
	values []Version
}

func (c *wides) add(v Version) {
	c.values = append(c.values, v)
	c.filled = c.filled || v != Version{}
}

// fill hands the client big.Ints that share one array of words.
func (c *wides) fill(dst column.Interface) error {
	const words = 128 / bits.UintSize
	space := make([]big.Word, words*len(c.values))
	values := make([]big.Int, len(c.values))
	for i, v := range c.values {
		w := space[i*words : (i+1)*words]
		for j := range words / 2 {
			w[j] = big.Word(v.Low >> (j * bits.UintSize))
			w[words/2+j] = big.Word(v.High >> (j * bits.UintSize))
		}
		values[i].SetBits(w)
	}
	return fillWith(dst, values)
}

func (c *wides) reset() { c.values, c.filled = c.values[:0], false }

// arrays are the cells of an Array. The elements of all rows stand in one slice.
type arrays[T any] struct {
	head
	elements []T
	ends     []int
}

// add appends an element to the row that the next call of end closes.
func (c *arrays[T]) add(v T) { c.elements = append(c.elements, v) }

func (c *arrays[T]) end() {
	c.ends = append(c.ends, len(c.elements))
	c.filled = len(c.elements) > 0
}

func (c *arrays[T]) fill(dst column.Interface) error {
	var none any = []T(nil)
	start := 0
	for _, end := range c.ends {
		row := none
		if end > start {
			row = c.elements[start:end:end]
		}
		if err := dst.AppendRow(row); err != nil {
			return err
		}
		start = end
	}
	return nil
}

func (c *arrays[T]) reset() {
	clear(c.elements)
	c.elements, c.ends, c.filled = c.elements[:0], c.ends[:0], false
}

// maps are the cells of a Map(String, V).
type maps[V any] struct {
	head
	values []map[string]V
}

func (c *maps[V]) add(v map[string]V) {
	c.values = append(c.values, v)
	c.filled = c.filled || len(v) > 0
}

// fill writes the keys in order, so that one row has one encoding.
func (c *maps[V]) fill(dst column.Interface) error {
	none := &ordered[V]{}
	for _, v := range c.values {
		row := none
		if len(v) > 0 {
			row = &ordered[V]{values: v}
		}
		if err := dst.AppendRow(row); err != nil {
			return err
		}
	}
	return nil
}

func (c *maps[V]) reset() {
	clear(c.values)
	c.values, c.filled = c.values[:0], false
}

// ordered is a map that the client walks in the order of its keys.
type ordered[V any] struct{ values map[string]V }

// Get returns one value.
func (o *ordered[V]) Get(key any) (any, bool) {
	k, ok := key.(string)
	if !ok {
		return nil, false
	}
	v, ok := o.values[k]
	return v, ok
}

// Put is part of the client's interface for reading, which is not used.
func (o *ordered[V]) Put(any, any) {}

// Keys sends the keys in order.
func (o *ordered[V]) Keys() <-chan any {
	keys := make([]string, 0, len(o.values))
	for k := range o.values {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	ch := make(chan any, len(keys))
	for _, k := range keys {
		ch <- k
	}
	close(ch)
	return ch
}

func fillWith(dst column.Interface, values any) error {
	_, err := dst.Append(values)
	return err
}
