package chdb_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// benchTable makes a table of the kind that facts are.
func benchTable(b *testing.B) driver.Conn {
	b.Helper()
	conn := open(b)
	must(b, conn.Exec(b.Context(), `CREATE TABLE t (id FixedString(16), entity FixedString(16), kind LowCardinality(String), creator LowCardinality(String),
		at DateTime64(3, 'UTC'), value Int64, version UInt128) ENGINE = ReplacingMergeTree(version) ORDER BY (entity, id)`))
	return conn
}

func BenchmarkInsert100kRows(b *testing.B) {
	conn := benchTable(b)
	const rows = 100_000
	ids, kinds, times, values := make([]string, rows), make([]string, rows), make([]time.Time, rows), make([]int64, rows)
	for i := range rows {
		ids[i] = fmt.Sprintf("%016x", i*2654435761)
		kinds[i] = []string{"click", "visit", "impression"}[i%3]
		times[i] = time.UnixMilli(int64(i)).UTC()
		values[i] = int64(i)
	}
	b.ReportAllocs()
	for b.Loop() {
		batch, err := conn.PrepareBatch(b.Context(), "INSERT INTO t (id, entity, kind, creator, at, value)")
		must(b, err)
		must(b, batch.Column(0).Append(ids))
		must(b, batch.Column(1).Append(ids))
		must(b, batch.Column(2).Append(kinds))
		must(b, batch.Column(3).Append(kinds))
		must(b, batch.Column(4).Append(times))
		must(b, batch.Column(5).Append(values))
		must(b, batch.Send())
	}
	b.ReportMetric(rows*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkSelect1MRows(b *testing.B) {
	dsn := database(b)
	for name, d := range map[string]string{"raw": dsn, "reencoded": reencoded(b, dsn)} {
		b.Run(name, func(b *testing.B) {
			conn := openDSN(b, d)
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				rows, err := conn.Query(b.Context(), "SELECT number, toString(number), toDateTime64(number / 1000, 3, 'UTC') FROM numbers(1000000)")
				must(b, err)
				var id uint64
				var s string
				var at time.Time
				for n = 0; rows.Next(); n++ {
					must(b, rows.Scan(&id, &s, &at))
				}
				must(b, rows.Err())
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

func BenchmarkSelectOneRow(b *testing.B) {
	conn := benchTable(b)
	must(b, conn.Exec(b.Context(), "INSERT INTO t SELECT toFixedString(leftPad(toString(number), 16), 16) AS k, k, 'click', 'c', 0, number, 1 FROM numbers(100000)"))
	for name, statement := range map[string]string{"constant": "SELECT toUInt64(1)", "count": "SELECT count() FROM t", "key": "SELECT count() FROM t FINAL WHERE entity = toFixedString(leftPad('77', 16), 16)"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				var n uint64
				must(b, conn.QueryRow(b.Context(), statement).Scan(&n))
			}
		})
	}
}
