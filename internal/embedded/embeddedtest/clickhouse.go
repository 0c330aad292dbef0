package embeddedtest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/aftertouch-io/aftertouch/internal/embedded/chdb"
)

// EnvClickHouseDSN names a ClickHouse server that tests use instead of the embedded engine.
const EnvClickHouseDSN = "AFTERTOUCH_TEST_CLICKHOUSE_DSN"

// shared is the one engine that a test process can have. It is never closed: it ends with the process, and its directory is removed
// by the next test process that finds it left behind.
var shared struct {
	once   sync.Once
	engine *chdb.Engine
	err    error
}

var databases atomic.Int64

// ClickHouse returns the DSN, for clickhouse.ParseDSN, of a new, empty database, which is dropped when the test ends. The engine is shared
// by the whole test process. It never skips: a missing engine library fails the test and says what to do.
func ClickHouse(t testing.TB) string {
	t.Helper()
	base, err := address()
	if errors.Is(err, chdb.ErrNoLibrary) {
		t.Fatalf("%v (or set %s to a ClickHouse server)", err, EnvClickHouseDSN)
	}
	if err != nil {
		t.Fatalf("starting the shared ClickHouse engine: %v", err)
	}
	name := fmt.Sprintf("test_%d_%d", os.Getpid(), databases.Add(1))
	exec(t, base, "CREATE DATABASE `"+name+"`")
	t.Cleanup(func() { exec(t, base, "DROP DATABASE `"+name+"` SYNC") })
	base.Path = "/" + name
	return base.String()
}

// address returns the DSN of the default database.
func address() (*url.URL, error) {
	if dsn := os.Getenv(EnvClickHouseDSN); dsn != "" {
		return url.Parse(dsn)
	}
	shared.once.Do(func() { shared.engine, shared.err = start() })
	if shared.err != nil {
		return nil, shared.err
	}
	return url.Parse(shared.engine.DSN())
}

func start() (*chdb.Engine, error) {
	removeLeftBehind()
	dir, err := os.MkdirTemp("", fmt.Sprintf("%s%d-", dirPrefix, os.Getpid()))
	if err != nil {
		return nil, err
	}
	cfg := chdb.Default()
	cfg.Dir = dir
	cfg.MaxMemory = 4 << 30
	return chdb.Open(context.Background(), cfg, slog.New(slog.DiscardHandler))
}

// dirPrefix is followed by the number of the process that the directory belongs to.
const dirPrefix = "aftertouch-test-clickhouse-"

// removeLeftBehind removes the directories of test processes that have ended.
func removeLeftBehind() {
	dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), dirPrefix+"*"))
	for _, dir := range dirs {
		owner, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), dirPrefix), "-")
		pid, err := strconv.Atoi(owner)
		if err != nil || syscall.Kill(pid, 0) != syscall.ESRCH {
			continue
		}
		_ = os.RemoveAll(dir) // another test process may be removing it too
	}
}

func exec(t testing.TB, base *url.URL, statement string) {
	t.Helper()
	opt, err := clickhouse.ParseDSN(base.String())
	if err != nil {
		t.Fatalf("parsing the ClickHouse DSN: %v", err)
	}
	conn, err := clickhouse.Open(opt)
	if err != nil {
		t.Fatalf("opening ClickHouse: %v", err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := conn.Exec(ctx, statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}
