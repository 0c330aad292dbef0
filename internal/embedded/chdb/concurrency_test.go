package chdb_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

func TestQueriesAndInsertsRunBesideEachOther(t *testing.T) {
	const writers, readers, batches, rows = 12, 12, 15, 1000
	ctx := within(t, 2*time.Minute)
	conn := openDSN(t, database(t), func(o *clickhouse.Options) { o.MaxOpenConns, o.MaxIdleConns = writers+readers, writers+readers })
	must(t, conn.Exec(ctx, "CREATE TABLE t (w UInt32, b UInt32, i UInt32) ENGINE = MergeTree ORDER BY (w, b, i)"))
	var writing, reading sync.WaitGroup
	done := make(chan struct{})
	for w := range uint32(writers) {
		writing.Go(func() {
			for b := range uint32(batches) {
				batch, err := conn.PrepareBatch(ctx, "INSERT INTO t (w, b, i)")
				if err != nil {
					t.Errorf("preparing: %v", err)
					return
				}
				for i := range uint32(rows) {
					if err := batch.Append(w, b, i); err != nil {
						t.Errorf("appending: %v", err)
						return
					}
				}
				if err := batch.Send(); err != nil {
					t.Errorf("inserting: %v", err)
					return
				}
				var n uint64
				if err := conn.QueryRow(ctx, "SELECT count() FROM t WHERE w = ? AND b = ?", w, b).Scan(&n); err != nil || n != rows {
					t.Errorf("an answered insert has %d of %d rows, %v", n, rows, err)
				}
			}
		})
	}
	for range readers {
		reading.Go(func() {
			last := uint64(0)
			for {
				var n uint64
				if err := conn.QueryRow(ctx, "SELECT count() FROM t").Scan(&n); err != nil {
					t.Errorf("reading: %v", err)
					return
				}
				if n%rows != 0 || n < last {
					t.Errorf("read %d rows after %d: a part of a batch, or fewer than before", n, last)
				}
				last = n
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	writing.Wait()
	close(done)
	reading.Wait()
	var n uint64
	must(t, conn.QueryRow(ctx, "SELECT count() FROM t").Scan(&n))
	if n != writers*batches*rows {
		t.Errorf("%d rows, want %d", n, writers*batches*rows)
	}
}

// More statements than the engine runs at one time wait for their turn, and a waiting one can be given up.
func TestStatementsOverTheLimitWaitTheirTurn(t *testing.T) {
	limit := max(16, 4*runtime.NumCPU())
	ctx, cancel := context.WithCancel(within(t, time.Minute))
	defer cancel()
	conn := openDSN(t, database(t), func(o *clickhouse.Options) { o.MaxOpenConns, o.MaxIdleConns = limit+10, limit+10 })
	var wg sync.WaitGroup
	for range limit {
		wg.Go(func() {
			_ = conn.Exec(ctx, "SELECT sleepEachRow(1), 'holds its place' FROM numbers(600) SETTINGS function_sleep_max_microseconds_per_block = 0, max_block_size = 1")
		})
	}
	eventually(t, "a statement over the limit waits", func() bool {
		hurried, stop := context.WithTimeout(ctx, 500*time.Millisecond)
		defer stop()
		return errors.Is(conn.Exec(hurried, "SELECT 1"), context.DeadlineExceeded)
	})
	cancel()
	wg.Wait()
	must(t, conn.Exec(within(t, 20*time.Second), "SELECT 1"))
}

// A connection of the engine lives for one statement: many must leave nothing behind.
func TestManyStatementsLeaveNoThreadsOrMemory(t *testing.T) {
	ctx, conn := within(t, 2*time.Minute), open(t)
	must(t, conn.Exec(ctx, "CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a"))
	must(t, conn.Exec(ctx, "INSERT INTO t SELECT number FROM numbers(1000)"))
	run := func() {
		for i := range 500 {
			var n uint64
			must(t, conn.QueryRow(ctx, fmt.Sprintf("SELECT count() FROM t WHERE a != %d", i)).Scan(&n))
		}
	}
	run()
	before := residentKB(t)
	run()
	if grown := residentKB(t) - before; grown > 20_000 {
		t.Errorf("500 statements more take %d KB more", grown)
	}
}
