package store

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// table buffers rows of one table by column.
type table struct {
	name    string
	columns []cells
	rows    int
	// bytes is the rows' size as they are sent, about.
	bytes int
}

func (t *table) reset() {
	for _, c := range t.columns {
		c.reset()
	}
	t.rows, t.bytes = 0, 0
}

// with adds a column to the table and returns it.
func with[C cells](t *table, c C) C {
	t.columns = append(t.columns, c)
	return c
}

// The following add a column to the table.

func (t *table) text(name string) *texts { return with(t, newTexts(name)) }

// word is a column of few different strings.
func (t *table) word(name string) *words { return with(t, newWords(name)) }

func (t *table) hash(name string) *hashes {
	return with(t, &hashes{plain{columnName: name, wireType: "FixedString(16)"}})
}

func (t *table) wide(name string) *wides {
	return with(t, &wides{plain{columnName: name, wireType: "UInt128"}})
}

func (t *table) flag(name string) *flags {
	return with(t, &flags{plain{columnName: name, wireType: "Bool"}})
}

// enum is sent as the number, which the engine casts.
func (t *table) enum(name string) *numbers[int8] {
	return with(t, newNumbers[int8](name, "Int8", 1))
}

func (t *table) uint16(name string) *numbers[uint16] {
	return with(t, newNumbers[uint16](name, "UInt16", 2))
}

func (t *table) uint32(name string) *numbers[uint32] {
	return with(t, newNumbers[uint32](name, "UInt32", 4))
}

func (t *table) uint64(name string) *numbers[uint64] {
	return with(t, newNumbers[uint64](name, "UInt64", 8))
}

func (t *table) int32(name string) *numbers[int32] {
	return with(t, newNumbers[int32](name, "Int32", 4))
}

func (t *table) int64(name string) *numbers[int64] {
	return with(t, newNumbers[int64](name, "Int64", 8))
}

// millis is a column of times in Unix ms.
func (t *table) millis(name string) *numbers[int64] { return with(t, newMillis(name)) }

// seconds is a column of times in Unix seconds.
func (t *table) seconds(name string) *numbers[int64] {
	return with(t, newNumbers[int64](name, "DateTime('UTC')", 4))
}

// day is a column of days since 1970-01-01.
func (t *table) day(name string) *numbers[uint16] {
	return with(t, newNumbers[uint16](name, "Date", 2))
}

func newTexts(name string) *texts { return &texts{plain{columnName: name, wireType: "String"}} }

func newWords(name string) *words {
	return &words{plain: plain{columnName: name, wireType: "LowCardinality(String)"}, index: map[string]uint32{}}
}

func newNumbers[T integer](name, wire string, width int) *numbers[T] {
	return &numbers[T]{plain: plain{columnName: name, wireType: wire}, width: width}
}

func newMillis(name string) *numbers[int64] {
	return newNumbers[int64](name, "DateTime64(3, 'UTC')", 8)
}

func array[T any, C adder[T]](t *table, of C) *arrays[T, C] {
	a := &arrays[T, C]{of: of}
	a.columnName, a.wireType, a.elements = of.name(), "Array("+of.wire()+")", []cells{of}
	return with(t, a)
}

func mapping[V any, C adder[V]](t *table, values C) *maps[V, C] {
	m := &maps[V, C]{keys: newTexts(values.name()), values: values}
	m.columnName, m.wireType = values.name(), "Map(String, "+values.wire()+")"
	m.elements = []cells{m.keys, values}
	return with(t, m)
}

// sent returns the columns that hold anything; always the first one, since an insert needs one.
func (t *table) sent() []cells {
	sent := make([]cells, 0, len(t.columns))
	for i, c := range t.columns {
		if i == 0 || !c.blank() {
			sent = append(sent, c)
		}
	}
	return sent
}

// insert writes the buffered rows to the named table, which has this table's columns. It returns when the engine has
// acknowledged them. native says that the connections speak the native protocol, which has no pre-encoded inserts.
func (t *table) insert(ctx context.Context, conn driver.Conn, name string, settings clickhouse.Settings, native bool) error {
	if t.rows == 0 {
		return nil
	}
	sent := t.sent()
	names := make([]string, len(sent))
	for i, c := range sent {
		names[i] = c.name()
	}
	statement := "INSERT INTO " + name + " (" + strings.Join(names, ", ") + ")"
	ctx = clickhouse.Context(ctx, clickhouse.WithSettings(settings))
	var err error
	if native {
		err = t.insertBatch(ctx, conn, statement, sent)
	} else {
		err = conn.InsertFormat(ctx, "Native", statement, readerOf(t.block(sent)))
	}
	if err != nil {
		return fmt.Errorf("inserting %d rows into %s: %w", t.rows, name, err)
	}
	return nil
}

// block returns the parts of one block in the Native format, as it is sent over HTTP.
func (t *table) block(sent []cells) [][]byte {
	head := binary.AppendUvarint(nil, uint64(len(sent)))
	parts := [][]byte{binary.AppendUvarint(head, uint64(t.rows))}
	for _, c := range sent {
		parts = append(parts, appendText(appendText(nil, c.name()), c.wire()))
		parts = c.encoded(parts)
	}
	return parts
}

// insertBatch sends the same encoding in a batch of the client, whose columns have the table's own types.
func (t *table) insertBatch(ctx context.Context, conn driver.Conn, statement string, sent []cells) error {
	batch, err := conn.PrepareBatch(ctx, statement)
	if err != nil {
		return err
	}
	defer batch.Close() //nolint:errcheck // it was sent, or the error is already being returned
	for i, dst := range batch.Columns() {
		if err := fill(dst, sent[i], t.rows); err != nil {
			return fmt.Errorf("%w: %w", ErrPermanent, err)
		}
	}
	return batch.Send()
}
