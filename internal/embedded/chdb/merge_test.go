package chdb_test

import (
	"testing"
	"time"
)

// Without merges in the background every table would end at "too many parts".
func TestPartsAreMergedInTheBackground(t *testing.T) {
	ctx, conn := within(t, time.Minute), open(t)
	must(t, conn.Exec(ctx, "CREATE TABLE t (a UInt64) ENGINE = ReplacingMergeTree ORDER BY a"))
	const inserts = 40
	for range inserts {
		must(t, conn.Exec(ctx, "INSERT INTO t SELECT number FROM numbers(100)"))
	}
	eventually(t, "fewer parts than inserts", func() bool {
		var n uint64
		must(t, conn.QueryRow(ctx, "SELECT count() FROM system.parts WHERE database = currentDatabase() AND active").Scan(&n))
		return n < inserts/2
	})
	var n uint64
	must(t, conn.QueryRow(ctx, "SELECT count() FROM t FINAL").Scan(&n))
	if n != 100 {
		t.Errorf("%d rows after merging, want 100", n)
	}
}

func TestRowsAreDeletedAndChanged(t *testing.T) {
	ctx, conn := within(t, time.Minute), open(t)
	must(t, conn.Exec(ctx, "CREATE TABLE t (a UInt64, s String) ENGINE = MergeTree ORDER BY a"))
	must(t, conn.Exec(ctx, "INSERT INTO t SELECT number, 'x' FROM numbers(5)"))
	must(t, conn.Exec(ctx, "DELETE FROM t WHERE a = 0"))
	must(t, conn.Exec(ctx, "ALTER TABLE t DELETE WHERE a = 1 SETTINGS mutations_sync = 2"))
	must(t, conn.Exec(ctx, "ALTER TABLE t UPDATE s = '' WHERE a = 2 SETTINGS mutations_sync = 2"))
	if got, want := contents(t, conn), "(2,'')|(3,'x')|(4,'x')"; got != want {
		t.Errorf("read %s, want %s", got, want)
	}
}
