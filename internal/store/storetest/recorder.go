package storetest

import (
	"context"
	"io/fs"
	"path"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Recorder watches the statements that pass a connection. Each query is explained before it runs for the first time, so a
// test of a report is part of the conformance suite without doing anything for it.
type Recorder struct {
	driver.Conn
	t    testing.TB
	mu   sync.Mutex
	seen map[string]bool
}

func (r *Recorder) wrap(conn driver.Conn) driver.Conn {
	r.Conn = conn
	return r
}

// Query records and explains the statement, and runs it.
func (r *Recorder) Query(ctx context.Context, statement string, args ...any) (driver.Rows, error) {
	r.record(ctx, statement, args)
	return r.Conn.Query(ctx, statement, args...)
}

// QueryRow records and explains the statement, and runs it.
func (r *Recorder) QueryRow(ctx context.Context, statement string, args ...any) driver.Row {
	r.record(ctx, statement, args)
	return r.Conn.QueryRow(ctx, statement, args...)
}

// Select records and explains the statement, and runs it.
func (r *Recorder) Select(ctx context.Context, dest any, statement string, args ...any) error {
	r.record(ctx, statement, args)
	return r.Conn.Select(ctx, dest, statement, args...)
}

// Exec records the statement and runs it.
func (r *Recorder) Exec(ctx context.Context, statement string, args ...any) error {
	r.record(ctx, statement, args)
	return r.Conn.Exec(ctx, statement, args...)
}

func (r *Recorder) record(ctx context.Context, statement string, args []any) {
	r.mu.Lock()
	known := r.seen[statement]
	r.seen[statement] = true
	r.mu.Unlock()
	if known || !isQuery(statement) {
		return
	}
	rows, err := r.Conn.Query(ctx, "EXPLAIN "+statement, args...)
	if err != nil {
		return // the statement itself will say why it is refused, which may be what the test wants
	}
	defer rows.Close() //nolint:errcheck // rows.Err reports what matters
	steps := 0
	for rows.Next() {
		steps++
	}
	if steps == 0 || rows.Err() != nil {
		r.t.Errorf("explaining gave %d steps (%v)\n%s", steps, rows.Err(), statement)
	}
}

// action is what a template fills in.
var action = regexp.MustCompile(`{{[^}]*}}`)

// Covers fails the test for each template *.sql below dir of which no statement was made.
func (r *Recorder) Covers(t *testing.T, files fs.FS, dir string) {
	t.Helper()
	names, err := fs.Glob(files, path.Join(dir, "*.sql"))
	if err != nil || len(names) == 0 {
		t.Fatalf("there are no statements in %q (%v)", dir, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			t.Fatal(err)
		}
		if mark := distinctive(string(text)); !r.made(mark) {
			t.Errorf("no test runs %s (%q)", name, mark)
		}
	}
}

func (r *Recorder) made(mark string) bool {
	for statement := range r.seen {
		if mark != "" && strings.Contains(statement, mark) {
			return true
		}
	}
	return false
}

// distinctive returns the longest part of a line of a template that is the same in every statement made of it.
func distinctive(template string) (longest string) {
	for line := range strings.Lines(template) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "--") {
			continue
		}
		for _, part := range action.Split(line, -1) {
			if part = strings.TrimSpace(part); len(part) > len(longest) {
				longest = part
			}
		}
	}
	return longest
}
