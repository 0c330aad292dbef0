package chdb_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/aftertouch-io/aftertouch/internal/embedded/chdb"
)

// envRole names what a test process that was started by a test does; see the roles in TestMain.
const envRole = "AFTERTOUCH_CHDB_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(envRole) {
	case "":
	case "insert-until-killed":
		os.Exit(exitCode(insertUntilKilled()))
	case "lifecycle":
		os.Exit(exitCode(lifecycle()))
	case "serve":
		os.Exit(exitCode(serveUntilSignal()))
	}
	code := m.Run()
	if shared.engine != nil {
		if err := shared.engine.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "closing the shared engine:", err)
			code = 1
		}
		_ = os.RemoveAll(shared.dir)
	}
	os.Exit(code)
}

// shared is the engine of the whole test process: there can be one only.
var shared struct {
	once   sync.Once
	engine *chdb.Engine
	dir    string
	err    error
}

var databases atomic.Int64

// maxMemory bounds the shared engine, in bytes; a test of the limit relies on it.
const maxMemory = 2 << 30

func engine(t testing.TB) *chdb.Engine {
	t.Helper()
	shared.once.Do(func() {
		if shared.dir, shared.err = os.MkdirTemp("", "aftertouch-chdb-test-"); shared.err != nil {
			return
		}
		cfg := chdb.Default()
		cfg.Dir = filepath.Join(shared.dir, "clickhouse")
		cfg.MaxMemory = maxMemory
		shared.engine, shared.err = chdb.Open(context.Background(), cfg, slog.New(slog.DiscardHandler))
	})
	must(t, shared.err)
	return shared.engine
}

// database makes a new database and returns its DSN.
func database(t testing.TB) string {
	t.Helper()
	e := engine(t)
	name := fmt.Sprint("db_", databases.Add(1))
	conn := openDSN(t, e.DSN())
	must(t, conn.Exec(within(t, time.Minute), "CREATE DATABASE "+name))
	return e.DatabaseDSN(name)
}

// open connects to a new database.
func open(t testing.TB) driver.Conn {
	t.Helper()
	return openDSN(t, database(t))
}

// openDSN connects with options changed by edit.
func openDSN(t testing.TB, dsn string, edit ...func(*clickhouse.Options)) driver.Conn {
	t.Helper()
	opt, err := clickhouse.ParseDSN(dsn)
	must(t, err)
	for _, f := range edit {
		f(opt)
	}
	conn, err := clickhouse.Open(opt)
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn
}

// reencoded is the DSN as a client would write that does not know the endpoint's raw path.
func reencoded(t testing.TB, dsn string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	must(t, err)
	u.RawQuery = ""
	return u.String()
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

// exitCode reports a role's error to the test that started it.
func exitCode(err error) int {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
