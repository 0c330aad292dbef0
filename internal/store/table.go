package store

import (
	"context"
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

// The following add a column to the table.

func (t *table) text(name string) *texts {
	c := &texts{head: head{columnName: name, wireType: "String"}}
	t.columns = append(t.columns, c)
	return c
}

func (t *table) hash(name string) *hashes {
	c := &hashes{head: head{columnName: name, wireType: "FixedString(16)"}}
	t.columns = append(t.columns, c)
	return c
}

func (t *table) wide(name string) *wides {
	c := &wides{head: head{columnName: name, wireType: "UInt128"}}
	t.columns = append(t.columns, c)
	return c
}

func number[T comparable](t *table, name, wire string) *numbers[T] {
	c := &numbers[T]{head: head{columnName: name, wireType: wire}}
	t.columns = append(t.columns, c)
	return c
}

func (t *table) enum(name string) *numbers[int8]     { return number[int8](t, name, "Int8") }
func (t *table) flag(name string) *numbers[bool]     { return number[bool](t, name, "Bool") }
func (t *table) uint16(name string) *numbers[uint16] { return number[uint16](t, name, "UInt16") }
func (t *table) uint32(name string) *numbers[uint32] { return number[uint32](t, name, "UInt32") }
func (t *table) uint64(name string) *numbers[uint64] { return number[uint64](t, name, "UInt64") }
func (t *table) int32(name string) *numbers[int32]   { return number[int32](t, name, "Int32") }
func (t *table) int64(name string) *numbers[int64]   { return number[int64](t, name, "Int64") }

// millis is a column of times in Unix ms.
func (t *table) millis(name string) *numbers[int64] {
	return number[int64](t, name, "DateTime64(3, 'UTC')")
}

func (t *table) day(name string) *days {
	c := &days{head: head{columnName: name, wireType: "Date"}}
	t.columns = append(t.columns, c)
	return c
}

// seconds is a column of times in Unix seconds.
func (t *table) seconds(name string) *numbers[int64] {
	return number[int64](t, name, "DateTime('UTC')")
}

func array[T any](t *table, name, element string) *arrays[T] {
	c := &arrays[T]{head: head{columnName: name, wireType: "Array(" + element + ")"}}
	t.columns = append(t.columns, c)
	return c
}

func mapping[V any](t *table, name, value string) *maps[V] {
	c := &maps[V]{head: head{columnName: name, wireType: "Map(String, " + value + ")"}}
	t.columns = append(t.columns, c)
	return c
}

// sent returns the columns that hold anything. Always one at least: each table's first column is its workspace or epoch.
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
// acknowledged them.
func (t *table) insert(ctx context.Context, conn driver.Conn, name string, settings clickhouse.Settings) error {
	if t.rows == 0 {
		return nil
	}
	sent := t.sent()
	names := make([]string, len(sent))
	types := make([]clickhouse.ColumnNameAndType, len(sent))
	for i, c := range sent {
		names[i] = c.name()
		types[i] = clickhouse.ColumnNameAndType{Name: c.name(), Type: c.wire()}
	}
	ctx = clickhouse.Context(ctx, clickhouse.WithSettings(settings), clickhouse.WithColumnNamesAndTypes(types))
	batch, err := conn.PrepareBatch(ctx, "INSERT INTO "+name+" ("+strings.Join(names, ", ")+")")
	if err != nil {
		return fmt.Errorf("preparing an insert into %s: %w", name, err)
	}
	defer batch.Close() //nolint:errcheck // it was sent, or the error is already being returned
	for i, dst := range batch.Columns() {
		if err := sent[i].fill(dst); err != nil {
			return fmt.Errorf("%w: filling %s.%s: %w", ErrPermanent, name, sent[i].name(), err)
		}
	}
	if err := batch.Send(); err != nil {
		return fmt.Errorf("inserting %d rows into %s: %w", t.rows, name, err)
	}
	return nil
}
