package storetest

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"reflect"
	"strings"
	"testing"

	"github.com/aftertouch-io/aftertouch/internal/store"
)

// Statement is one SQL statement of the project as it is sent, with arguments that fit the fixture (Batch).
type Statement struct {
	// Name tells statements apart; of a statement from a file it begins with the file's name without ".sql".
	Name string
	SQL  string
	// Args are bound by the client: clickhouse.Named(...) for {name:Type}.
	Args []any
	// Rows is the least number of rows that it returns on the fixture.
	Rows int
}

// Run runs each statement on the store, as a test of its own: queries are explained first, then read to the end. It is how
// a package proves that its SQL works on every engine: the embedded one, and the server of AFTERTOUCH_TEST_CLICKHOUSE_DSN.
func Run(t *testing.T, s *store.Store, statements ...Statement) {
	t.Helper()
	for _, statement := range statements {
		t.Run(statement.Name, func(t *testing.T) {
			ctx := Context(t)
			if !isQuery(statement.SQL) {
				if err := s.Conn().Exec(ctx, statement.SQL, statement.Args...); err != nil {
					t.Fatalf("%v\n%s", err, statement.SQL)
				}
				return
			}
			if _, err := read(ctx, s, "EXPLAIN "+statement.SQL, statement.Args); err != nil {
				t.Fatalf("explaining: %v\n%s", err, statement.SQL)
			}
			rows, err := read(ctx, s, statement.SQL, statement.Args)
			if err != nil {
				t.Fatalf("%v\n%s", err, statement.SQL)
			}
			if rows < statement.Rows {
				t.Errorf("%d rows on the fixture, want at least %d\n%s", rows, statement.Rows, statement.SQL)
			}
		})
	}
}

// Covers fails the test for each file *.sql below dir that no statement is named after, so that a new one cannot be left out.
func Covers(t *testing.T, files fs.FS, dir string, statements ...Statement) {
	t.Helper()
	names, err := fs.Glob(files, path.Join(dir, "*.sql"))
	if err != nil || len(names) == 0 {
		t.Fatalf("there are no statements in %s (%v)", dir, err)
	}
	for _, name := range names {
		base := strings.TrimSuffix(path.Base(name), ".sql")
		found := false
		for _, s := range statements {
			found = found || s.Name == base || strings.HasPrefix(s.Name, base+" ")
		}
		if !found {
			t.Errorf("%s is not part of the conformance suite", name)
		}
	}
}

func isQuery(sql string) bool {
	word := strings.ToUpper(strings.TrimLeft(sql, " \t\n("))
	return strings.HasPrefix(word, "SELECT") || strings.HasPrefix(word, "WITH")
}

// read reads all rows and returns their number.
func read(ctx context.Context, s *store.Store, sql string, args []any) (n int, err error) {
	rows, err := s.Conn().Query(ctx, sql, args...)
	if err != nil {
		return 0, err
	}
	defer rows.Close() //nolint:errcheck // rows.Err reports what matters
	types := rows.ColumnTypes()
	cells := make([]any, len(types))
	for rows.Next() {
		for i, typ := range types {
			cells[i] = reflect.New(typ.ScanType()).Interface()
		}
		if err := rows.Scan(cells...); err != nil {
			return n, fmt.Errorf("reading row %d: %w", n, err)
		}
		n++
	}
	return n, rows.Err()
}
