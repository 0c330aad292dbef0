package chdb_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/aftertouch-io/aftertouch/internal/embedded/chdb"
)

// envDir is the engine's directory in a role.
const envDir = "AFTERTOUCH_CHDB_TEST_DIR"

// child is a process of this test binary in a role.
type child struct {
	*exec.Cmd
	out    *bufio.Scanner
	stderr bytes.Buffer
}

func startRole(t *testing.T, role, dir string) *child {
	t.Helper()
	c := &child{Cmd: exec.CommandContext(within(t, 2*time.Minute), os.Args[0])}
	c.Env = append(os.Environ(), envRole+"="+role, envDir+"="+dir)
	c.Env = append(c.Env, "TZ=America/New_York") // the engine must not take the machine's time zone
	c.Stderr = &c.stderr
	stdout, err := c.StdoutPipe()
	must(t, err)
	c.out = bufio.NewScanner(stdout)
	must(t, c.Start())
	return c
}

// line returns the next line of the child; ok is false at its end.
func (c *child) line() (s string, ok bool) {
	ok = c.out.Scan()
	return c.out.Text(), ok
}

func openRole() (*chdb.Engine, error) {
	cfg := chdb.Default()
	cfg.Dir = os.Getenv(envDir)
	return chdb.Open(context.Background(), cfg, slog.New(slog.DiscardHandler))
}

func connect(e *chdb.Engine) (driver.Conn, error) {
	opt, err := clickhouse.ParseDSN(e.DSN())
	if err != nil {
		return nil, err
	}
	return clickhouse.Open(opt)
}

const (
	killWorkers   = 4
	killBatchRows = 500
)

// insertUntilKilled prints "have WORKER SEQ ROWS" for what the table holds, "ready", and then "ack WORKER SEQ" after each insert's answer.
func insertUntilKilled() error {
	e, err := openRole()
	if err != nil {
		return err
	}
	conn, err := connect(e)
	if err != nil {
		return err
	}
	ctx := context.Background()
	if err := conn.Exec(ctx, "CREATE TABLE IF NOT EXISTS acked (worker UInt32, seq UInt64, row UInt32, text String) ENGINE = MergeTree ORDER BY (worker, seq, row)"); err != nil {
		return err
	}
	rows, err := conn.Query(ctx, "SELECT worker, seq, count() FROM acked GROUP BY worker, seq")
	if err != nil {
		return err
	}
	for rows.Next() {
		var worker uint32
		var seq, n uint64
		if err := rows.Scan(&worker, &seq, &n); err != nil {
			return err
		}
		fmt.Println("have", worker, seq, n)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	fmt.Println("ready")
	start := uint64(time.Now().UnixNano())
	failed := make(chan error)
	for worker := range uint32(killWorkers) {
		go func() {
			for seq := start; ; seq++ {
				if err := insertBatch(ctx, conn, worker, seq); err != nil {
					failed <- err
					return
				}
				fmt.Println("ack", worker, seq)
			}
		}()
	}
	return <-failed
}

func insertBatch(ctx context.Context, conn driver.Conn, worker uint32, seq uint64) error {
	batch, err := conn.PrepareBatch(ctx, "INSERT INTO acked (worker, seq, row, text)")
	if err != nil {
		return err
	}
	for row := range uint32(killBatchRows) {
		if err := batch.Append(worker, seq, row, "some text to make the part larger"); err != nil {
			return err
		}
	}
	return batch.Send()
}

func TestEverythingAcknowledgedSurvivesKill(t *testing.T) {
	dir := t.TempDir()
	acked := map[string]bool{}
	for round := range 6 {
		c := startRole(t, "insert-until-killed", dir)
		have := map[string]bool{}
		for s, ok := c.line(); s != "ready"; s, ok = c.line() {
			if !ok {
				t.Fatalf("round %d: the engine did not start: %v %s", round, c.Wait(), c.stderr.String())
			}
			var id string
			var worker, seq, n uint64
			if _, err := fmt.Sscanf(s, "have %d %d %d", &worker, &seq, &n); err != nil {
				t.Fatalf("reading %q: %v", s, err)
			}
			id = fmt.Sprint(worker, " ", seq)
			if have[id] = true; n != killBatchRows {
				t.Errorf("round %d: batch %s has %d of its %d rows", round, id, n, killBatchRows)
			}
		}
		for id := range acked {
			if !have[id] {
				t.Errorf("round %d: acknowledged batch %s is gone", round, id)
			}
		}
		kill := time.AfterFunc(300*time.Millisecond+rand.N(700*time.Millisecond), func() { _ = c.Process.Kill() })
		defer kill.Stop()
		before := len(acked)
		for s, ok := c.line(); ok; s, ok = c.line() {
			if id, ok := strings.CutPrefix(s, "ack "); ok {
				acked[id] = true
			}
		}
		_ = c.Wait()
		if len(acked) == before && round < 5 {
			t.Errorf("round %d: nothing was acknowledged: %s", round, c.stderr.String())
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%d batches acknowledged and found", len(acked))
}

// serveUntilSignal prints "ready" and runs statements until it is told to end.
func serveUntilSignal() error {
	e, err := openRole()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	signal.Ignore(syscall.SIGHUP)
	conn, err := connect(e)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	for ctx.Err() == nil {
		if err := conn.Exec(context.Background(), "SELECT sum(sipHash64(number)) FROM numbers(3000000)"); err != nil {
			return err
		}
	}
	return e.Close()
}

func TestADirectoryServesOneProcess(t *testing.T) {
	dir := t.TempDir()
	first := startRole(t, "serve", dir)
	if s, _ := first.line(); s != "ready" {
		t.Fatalf("the first process: %s", first.stderr.String())
	}
	second := startRole(t, "serve", dir)
	if s, ok := second.line(); ok {
		t.Errorf("the second process says %q", s)
	}
	if err := second.Wait(); err == nil || !strings.Contains(second.stderr.String(), dir) {
		t.Errorf("the second process ended with %v: %s", err, second.stderr.String())
	}
	// Signals reach any thread, the engine's too; they must stay the process's own affair.
	for range 200 {
		must(t, first.Process.Signal(syscall.SIGHUP))
		time.Sleep(time.Millisecond)
	}
	must(t, first.Process.Signal(syscall.SIGTERM))
	if err := first.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v: %s", err, first.stderr.String())
	}
}

func TestAnEngineOpensClosesAndOpensAgain(t *testing.T) {
	c := startRole(t, "lifecycle", t.TempDir())
	for _, ok := c.line(); ok; _, ok = c.line() {
	}
	if err := c.Wait(); err != nil {
		t.Errorf("%v: %s", err, c.stderr.String())
	}
}

// lifecycle checks in a process of its own what the shared engine stands in the way of.
func lifecycle() error {
	dir := os.Getenv(envDir)
	cfg := chdb.Default()
	cfg.Dir = filepath.Join(dir, "a")
	log := slog.New(slog.DiscardHandler)
	ctx := context.Background()
	first, err := chdb.Open(ctx, cfg, log)
	if err != nil {
		return err
	}
	if _, err := chdb.Open(ctx, cfg, log); !errors.Is(err, chdb.ErrAlreadyOpen) {
		return fmt.Errorf("a second engine: %w", err)
	}
	conn, err := connect(first)
	if err != nil {
		return err
	}
	for _, statement := range []string{"CREATE TABLE kept (a UInt8) ENGINE = MergeTree ORDER BY a", "INSERT INTO kept VALUES (7)"} {
		if err := conn.Exec(ctx, statement); err != nil {
			return err
		}
	}
	var zone, local string
	if err := conn.QueryRow(ctx, "SELECT timezone(), toString(toDateTime(0))").Scan(&zone, &local); err != nil || zone != "UTC" || local != "1970-01-01 00:00:00" {
		return fmt.Errorf("time zone %q, %q: %w", zone, local, err)
	}
	if err := profiled(func() error { return parallelQueries(ctx, conn) }); err != nil {
		return err
	}
	if err := closeUnderLoad(ctx, first, conn); err != nil {
		return err
	}
	second, err := chdb.Open(ctx, cfg, log)
	if err != nil {
		return fmt.Errorf("opening again: %w", err)
	}
	if conn, err = connect(second); err != nil {
		return err
	}
	var a uint8
	if err := conn.QueryRow(ctx, "SELECT a FROM kept").Scan(&a); err != nil || a != 7 {
		return fmt.Errorf("reading after the restart: %d, %w", a, err)
	}
	if err := second.Close(); err != nil {
		return err
	}
	cfg.Dir = filepath.Join(dir, "b")
	third, err := chdb.Open(ctx, cfg, log)
	if err != nil {
		return fmt.Errorf("opening another directory: %w", err)
	}
	if conn, err = connect(third); err != nil {
		return err
	}
	if err := conn.QueryRow(ctx, "SELECT a FROM kept").Scan(&a); exception(err) != 60 {
		return fmt.Errorf("another directory holds the first one's table: %w", err)
	}
	return third.Close()
}

// profiled runs f under the CPU profiler, whose signals arrive on the engine's threads too.
func profiled(f func() error) error {
	if err := pprof.StartCPUProfile(io.Discard); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()
	return f()
}

func parallelQueries(ctx context.Context, conn driver.Conn) error {
	var wg sync.WaitGroup
	failed := make(chan error, 8)
	for range 8 {
		wg.Go(func() { failed <- conn.Exec(ctx, "SELECT uniqExact(sipHash64(number)) FROM numbers(2000000)") })
	}
	wg.Wait()
	close(failed)
	for err := range failed {
		if err != nil {
			return err
		}
	}
	return nil
}

// closeUnderLoad closes the engine while a statement runs that would never end.
func closeUnderLoad(ctx context.Context, e *chdb.Engine, conn driver.Conn) error {
	failed := make(chan error, 1)
	go func() { failed <- conn.Exec(ctx, "SELECT sum(sipHash64(number)) FROM numbers(1000000000000)") }()
	time.Sleep(300 * time.Millisecond)
	if err := e.Close(); err != nil {
		return fmt.Errorf("closing under load: %w", err)
	}
	if err := <-failed; err == nil {
		return errors.New("the statement outlived its engine")
	}
	if err := e.Close(); err != nil {
		return fmt.Errorf("closing twice: %w", err)
	}
	return nil
}
