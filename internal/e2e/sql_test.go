package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/aftertouch-io/aftertouch/internal/embedded/chdb"
)

// An engine can be opened once in a process, so each look into a stopped server's tables is a process of its own: this test
// binary, run again with the question in its environment.
const (
	sqlEnv = "AFTERTOUCH_E2E_SQL"
	dirEnv = "AFTERTOUCH_E2E_DIR"
)

// query reads the tables of a stopped server: each row is its columns, which must be text, joined by tabs.
func query(t testing.TB, dataDir, statement string) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	self := exec.CommandContext(ctx, os.Args[0])
	self.Env = append(os.Environ(), sqlEnv+"="+statement, dirEnv+"="+dataDir)
	var stderr strings.Builder
	self.Stderr = &stderr
	out, err := self.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", statement, err, tail(stderr.String(), 4000))
	}
	var rows []string
	if err := json.Unmarshal(out, &rows); err != nil {
		t.Fatalf("%s: %v in %s", statement, err, tail(string(out), 4000))
	}
	return rows
}

// answer is the process that query starts.
func answer(dataDir, statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cfg := chdb.Default()
	cfg.Dir = filepath.Join(dataDir, "clickhouse")
	engine, err := chdb.Open(ctx, cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer engine.Close()
	opt, err := clickhouse.ParseDSN(engine.DSN())
	if err != nil {
		return err
	}
	opt.Auth.Database = "aftertouch"
	conn, err := clickhouse.Open(opt)
	if err != nil {
		return err
	}
	defer conn.Close()
	// One text column: the caller compares, it does not compute. The statement selects text.
	found, err := conn.Query(ctx, "SELECT arrayStringConcat(array(*), '\t') FROM ("+statement+")")
	if err != nil {
		return err
	}
	defer found.Close()
	rows := []string{}
	for found.Next() {
		var row string
		if err := found.Scan(&row); err != nil {
			return err
		}
		rows = append(rows, row)
	}
	if err := found.Err(); err != nil {
		return err
	}
	text, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	_, err = fmt.Println(string(text))
	return err
}
