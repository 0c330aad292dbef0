package storetest_test

import (
	"math"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"

	"github.com/aftertouch-io/aftertouch/internal/store"
	"github.com/aftertouch-io/aftertouch/internal/store/storetest"
)

// values has, for every type that columns and results of the project have, an expression and what the client reads.
var values = []struct {
	typ, expression string
	want            any
}{
	{"UInt8", "toUInt8(255)", uint8(math.MaxUint8)},
	{"UInt16", "toUInt16(65535)", uint16(math.MaxUint16)},
	{"UInt32", "toUInt32(4294967295)", uint32(math.MaxUint32)},
	{"UInt64", "toUInt64(18446744073709551615)", uint64(math.MaxUint64)},
	{"UInt128", "toUInt128('340282366920938463463374607431768211455')", new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 128), big.NewInt(1))},
	{"Int8", "toInt8(-128)", int8(math.MinInt8)},
	{"Int16", "toInt16(-32768)", int16(math.MinInt16)},
	{"Int32", "toInt32(-2147483648)", int32(math.MinInt32)},
	{"Int64", "toInt64(-9223372036854775808)", int64(math.MinInt64)},
	{"Float64", "0.1", 0.1},
	{"Bool", "true", true},
	{"String", `'a\0\n\'ü'`, "a\x00\n'ü"},
	{"FixedString(16)", `toFixedString('\n\n\0abc', 16)`, "\n\n\x00abc" + strings.Repeat("\x00", 10)},
	{"LowCardinality(String)", "toLowCardinality('word')", "word"},
	{"Enum8('one' = 1, 'two' = 2)", "CAST('two', 'Enum8(\\'one\\' = 1, \\'two\\' = 2)')", "two"},
	{"Date", "toDate('2149-06-06')", time.Date(2149, 6, 6, 0, 0, 0, 0, time.UTC)},
	{"DateTime('UTC')", "toDateTime('2106-02-07 06:28:15', 'UTC')", time.Unix(math.MaxUint32, 0).UTC()},
	{"DateTime64(3, 'UTC')", "toDateTime64('2026-03-01 12:00:00.123', 3, 'UTC')", time.UnixMilli(1772366400123).UTC()},
	{"Decimal(18, 9)", "toDecimal64('0.333333333', 9)", decimal.RequireFromString("0.333333333")},
	{"Decimal(38, 9)", "sum(toDecimal64('0.333333333', 9))", decimal.RequireFromString("0.333333333")},
	{"Nullable(Int64)", "toNullable(toInt64(7))", ptr(int64(7))},
	{"Array(String)", "['a', '']", []string{"a", ""}},
	{"Array(UInt16)", "[toUInt16(1)]", []uint16{1}},
	{"Array(UInt32)", "[toUInt32(1), 4294967295]", []uint32{1, math.MaxUint32}},
	{"Array(UInt64)", "[toUInt64(1)]", []uint64{1}},
	{"Array(Int64)", "[toInt64(-1)]", []int64{-1}},
	{"Array(Bool)", "[true, false]", []bool{true, false}},
	{"Array(LowCardinality(String))", "CAST(['a', 'b', 'a'], 'Array(LowCardinality(String))')", []string{"a", "b", "a"}},
	{"Array(FixedString(16))", "[toFixedString('', 16)]", []string{strings.Repeat("\x00", 16)}},
	{"Array(Enum8('one' = 1))", "CAST(['one'], 'Array(Enum8(\\'one\\' = 1))')", []string{"one"}},
	{"Array(DateTime64(3, 'UTC'))", "[toDateTime64('2026-03-01 12:00:00.123', 3, 'UTC')]", []time.Time{time.UnixMilli(1772366400123).UTC()}},
	{"Map(String, String)", "map('a', 'b')", map[string]string{"a": "b"}},
	{"Map(String, UInt32)", "map('a', toUInt32(1))", map[string]uint32{"a": 1}},
	{"Map(LowCardinality(String), UInt64)", "map(toLowCardinality('a'), toUInt64(1))", map[string]uint64{"a": 1}},
}

func ptr[T any](v T) *T { return &v }

func TestEveryTypeIsReadAsItWas(t *testing.T) {
	s := storetest.OpenEmpty(t, store.Default())
	for _, v := range values {
		t.Run(v.typ, func(t *testing.T) {
			rows, err := s.Conn().Query(storetest.Context(t), "SELECT "+v.expression+" AS v")
			if err != nil {
				t.Fatal(err)
			}
			defer rows.Close()
			// The embedded engine leaves a DateTime's time zone out of the type; the instant is the same.
			if got := rows.ColumnTypes()[0].DatabaseTypeName(); got != v.typ && got+"('UTC')" != v.typ {
				t.Errorf("type is %s", got)
			}
			cell := reflect.New(rows.ColumnTypes()[0].ScanType())
			if !rows.Next() {
				t.Fatalf("no row: %v", rows.Err())
			}
			if err := rows.Scan(cell.Interface()); err != nil {
				t.Fatal(err)
			}
			equal := cmp.Options{cmp.Comparer(func(a, b big.Int) bool { return a.Cmp(&b) == 0 }), cmp.Comparer(decimal.Decimal.Equal)}
			if diff := cmp.Diff(v.want, cell.Elem().Interface(), equal); diff != "" {
				t.Errorf("value (-want +got):\n%s", diff)
			}
		})
	}
}

// TestEveryColumnsTypeIsInTheSuite fails for a column of a type that the test above does not read.
func TestEveryColumnsTypeIsInTheSuite(t *testing.T) {
	known := map[string]bool{}
	for _, v := range values {
		known[plain(v.typ)] = true
	}
	s := storetest.Open(t)
	rows, err := s.Conn().Query(storetest.Context(t), "SELECT concat(table, '.', name) AS name, type FROM system.columns WHERE database = currentDatabase()")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		var name, typ string
		if err := rows.Scan(&name, &typ); err != nil {
			t.Fatal(err)
		}
		if n++; !known[plain(typ)] {
			t.Errorf("%s: no test reads a %s", name, typ)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	if n < 100 {
		t.Errorf("there are %d columns", n)
	}
}

// plain takes the words out of an Enum.
func plain(typ string) string {
	before, after, ok := strings.Cut(typ, "Enum8(")
	if !ok {
		return typ
	}
	return before + "Enum8" + strings.TrimLeft(after[strings.LastIndex(after, "'"):], "'= 0123456789")
}
