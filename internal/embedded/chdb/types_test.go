package chdb_test

import (
	"fmt"
	"math"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/shopspring/decimal"
)

// columnTypes are the types that the project may use, each with a maker of its i-th value. The values take in ends of ranges and text that is
// hard to quote.
var columnTypes = []columnType{
	{"UInt8", func(i int) any { return uint8(i) }},
	{"UInt16", func(i int) any { return uint16(i) }},
	{"UInt32", func(i int) any { return math.MaxUint32 - uint32(i) }},
	{"UInt64", func(i int) any { return math.MaxUint64 - uint64(i) }},
	{"UInt128", func(i int) any { return new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 128), big.NewInt(int64(i+1))) }},
	{"Int8", func(i int) any { return int8(i) }},
	{"Int16", func(i int) any { return int16(-i) }},
	{"Int32", func(i int) any { return int32(-i) }},
	{"Int64", func(i int) any { return math.MinInt64 + int64(i) }},
	{"Float64", func(i int) any { return float64(i) / 3 }},
	{"String", func(i int) any { return fmt.Sprintf("it's \\ \"%d\"\n\n\x00\xff", i) }},
	{"LowCardinality(String)", func(i int) any { return fmt.Sprint("word ", i%300) }},
	{"FixedString(16)", func(i int) any { return fmt.Sprintf("%016x", i) }},
	{"UUID", func(i int) any { return uuid.NewSHA1(uuid.Nil, fmt.Append(nil, i)) }},
	{"DateTime64(3, 'UTC')", func(i int) any { return time.UnixMilli(int64(i)*1e6 + 7).UTC() }},
	{"DateTime('UTC')", func(i int) any { return time.Unix(int64(i)*1000, 0).UTC() }},
	{"Date", func(i int) any { return time.Unix(int64(i%40000)*86400, 0).UTC() }},
	{"Bool", func(i int) any { return i%2 == 0 }},
	{"Enum8('click' = 1, 'visit' = 2)", func(i int) any { return []string{"click", "visit"}[i%2] }},
	{"Array(UInt64)", func(i int) any { return repeat(i%4, uint64(i)) }},
	{"Array(String)", func(i int) any { return repeat(i%4, fmt.Sprint("s", i)) }},
	{"Array(LowCardinality(String))", func(i int) any { return repeat(i%4, fmt.Sprint("w", i%9)) }},
	{"Array(FixedString(16))", func(i int) any { return repeat(i%4, fmt.Sprintf("%016d", i)) }},
	{"Array(DateTime64(3, 'UTC'))", func(i int) any { return repeat(i%4, time.UnixMilli(int64(i)).UTC()) }},
	{"Array(Array(Int64))", func(i int) any { return repeat(i%3, repeat(i%2, int64(i))) }},
	{"Nullable(String)", func(i int) any { return nullable(i, fmt.Sprint(i)) }},
	{"Nullable(Int64)", func(i int) any { return nullable(i, int64(i)) }},
	{"LowCardinality(Nullable(String))", func(i int) any { return nullable(i, fmt.Sprint(i%7)) }},
	{"Map(String, String)", func(i int) any {
		m := map[string]string{}
		for j := range i % 3 {
			m[fmt.Sprint("k", j)] = fmt.Sprint(i)
		}
		return m
	}},
	{"Map(LowCardinality(String), UInt64)", func(i int) any { return map[string]uint64{"a": uint64(i)} }},
	{"Tuple(UInt32, String)", func(i int) any { return []any{uint32(i), fmt.Sprint(i)} }},
	{"Array(Tuple(LowCardinality(String), Int64))", func(i int) any { return repeat(i%3, []any{"m", int64(i)}) }},
	{"Decimal(18, 4)", func(i int) any { return decimal.New(int64(i)-50, -4) }},
	{"Decimal(38, 9)", func(i int) any { return decimal.New(int64(i), 20).Add(decimal.New(1, -9)) }},
}

type columnType struct {
	name  string
	value func(i int) any
}

func repeat[T any](n int, v T) []T {
	s := make([]T, n)
	for i := range s {
		s[i] = v
	}
	return s
}

func nullable[T any](i int, v T) *T {
	if i%3 == 0 {
		return nil
	}
	return &v
}

func TestEveryColumnTypeReturnsAsItWasInserted(t *testing.T) {
	const rows = 100_000
	dsn := database(t)
	ctx := within(t, 5*time.Minute)
	writer := openDSN(t, dsn)
	readers := map[string]string{"raw": dsn, "reencoded": reencoded(t, dsn)}
	for c, column := range columnTypes {
		t.Run(column.name, func(t *testing.T) {
			table := fmt.Sprint("t", c)
			must(t, writer.Exec(ctx, fmt.Sprintf("CREATE TABLE %s (i UInt64, v %s) ENGINE = MergeTree ORDER BY i", table, column.name)))
			batch, err := writer.PrepareBatch(ctx, "INSERT INTO "+table+" (i, v)")
			must(t, err)
			for i := range rows {
				must(t, batch.Append(uint64(i), column.value(i)))
			}
			must(t, batch.Send())
			for name, reader := range readers {
				compareColumn(t, name, reader, table, rows, column.value)
			}
		})
	}
}

// compareColumn reads a table and compares each value with what was inserted.
func compareColumn(t *testing.T, name, dsn, table string, rows int, want func(int) any) {
	t.Helper()
	result, err := openDSN(t, dsn).Query(within(t, time.Minute), "SELECT i, v FROM "+table+" ORDER BY i")
	must(t, err)
	defer result.Close()
	n := 0
	for ; result.Next(); n++ {
		var i uint64
		value := reflect.New(result.ColumnTypes()[1].ScanType())
		must(t, result.Scan(&i, value.Interface()))
		if w, g := plain(want(n)), plain(value.Elem().Interface()); i != uint64(n) || !reflect.DeepEqual(w, g) {
			t.Fatalf("%s: row %d (i = %d) differs:\n%s", name, n, i, cmp.Diff(w, g))
		}
	}
	must(t, result.Err())
	if n != rows {
		t.Fatalf("%s: %d rows, want %d", name, n, rows)
	}
}

// plain brings values that mean the same into one form.
func plain(v any) any {
	switch v := v.(type) {
	case big.Int:
		return v.String()
	case *big.Int:
		return v.String()
	case decimal.Decimal:
		return v.String()
	case time.Time:
		return v.UTC()
	}
	return v
}

func TestNestedColumnsAreArraysOfOneLength(t *testing.T) {
	ctx, conn := within(t, time.Minute), open(t)
	must(t, conn.Exec(ctx, "CREATE TABLE n (id UInt64, touches Nested(kind LowCardinality(String), at DateTime64(3, 'UTC'), credit Int64)) ENGINE = MergeTree ORDER BY id"))
	batch, err := conn.PrepareBatch(ctx, "INSERT INTO n (id, touches.kind, touches.at, touches.credit)")
	must(t, err)
	at := time.UnixMilli(1_700_000_000_123).UTC()
	must(t, batch.Append(uint64(1), []string{"click", "visit"}, []time.Time{at, at}, []int64{4, 6}))
	must(t, batch.Append(uint64(2), []string{}, []time.Time{}, []int64{}))
	must(t, batch.Send())
	var kinds []string
	var credit int64
	must(t, conn.QueryRow(ctx, "SELECT groupArray(kind), sum(credit) FROM (SELECT t.kind AS kind, t.credit AS credit FROM n ARRAY JOIN touches AS t ORDER BY kind)").Scan(&kinds, &credit))
	if !cmp.Equal(kinds, []string{"click", "visit"}) || credit != 10 {
		t.Errorf("read %v, %d", kinds, credit)
	}
}

// One block with every column, as the store sends it.
func TestAWideBlockReturnsAsItWasInserted(t *testing.T) {
	ctx, conn := within(t, 2*time.Minute), open(t)
	names, types := make([]string, len(columnTypes)), make([]string, len(columnTypes))
	for c, column := range columnTypes {
		names[c], types[c] = fmt.Sprint("c", c), fmt.Sprintf("c%d %s", c, column.name)
	}
	must(t, conn.Exec(ctx, "CREATE TABLE wide (i UInt64, "+strings.Join(types, ", ")+") ENGINE = MergeTree ORDER BY i"))
	insert := "INSERT INTO wide (i, " + strings.Join(names, ", ") + ")"
	for range 2 { // the same rows twice, so that a sum over columns can tell that every value came through
		batch, err := conn.PrepareBatch(ctx, insert)
		must(t, err)
		for i := range 5000 {
			row := []any{uint64(i)}
			for _, column := range columnTypes {
				row = append(row, column.value(i))
			}
			must(t, batch.Append(row...))
		}
		must(t, batch.Send())
	}
	var distinct, total uint64
	// A Go map has no order, and the driver sends its pairs as they come: the same map inserted twice is two different values.
	m := names[slices.IndexFunc(columnTypes, func(c columnType) bool { return c.name == "Map(String, String)" })]
	must(t, conn.QueryRow(ctx, fmt.Sprintf("SELECT uniqExact(toString((tuple(* EXCEPT %s), mapSort(%s)))), count() FROM wide", m, m)).Scan(&distinct, &total))
	if distinct != 5000 || total != 10000 {
		t.Errorf("%d distinct rows of %d, want 5000 of 10000", distinct, total)
	}
}
