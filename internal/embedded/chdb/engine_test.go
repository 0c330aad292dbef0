package chdb_test

import (
	"context"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/aftertouch-io/aftertouch/internal/embedded/embeddedtest"
)

// open connects to a new database of the engine.
func open(t testing.TB) driver.Conn {
	t.Helper()
	return openDSN(t, embeddedtest.ClickHouse(t))
}

func openDSN(t testing.TB, dsn string) driver.Conn {
	t.Helper()
	opt, err := clickhouse.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := clickhouse.Open(opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// within returns a context that ends with the test, or after d.
func within(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestInsertedRowsAreRead(t *testing.T) {
	ctx, conn := within(t, time.Minute), open(t)
	must(t, conn.Exec(ctx, "CREATE TABLE t (id UInt64, name LowCardinality(String), at DateTime64(3, 'UTC')) ENGINE = MergeTree ORDER BY id"))
	batch, err := conn.PrepareBatch(ctx, "INSERT INTO t (id, name, at)")
	must(t, err)
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	for i := range 1000 {
		must(t, batch.Append(uint64(i), "name", at))
	}
	must(t, batch.Send())
	var n, sum uint64
	must(t, conn.QueryRow(ctx, "SELECT count(), sum(id) FROM t WHERE at = ?", at).Scan(&n, &sum))
	if n != 1000 || sum != 999*500 {
		t.Errorf("count %d, sum %d; want 1000, %d", n, sum, 999*500)
	}
}
