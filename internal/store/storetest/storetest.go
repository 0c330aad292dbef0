// Package storetest gives tests a migrated ClickHouse database, rows that fill every column, and the conformance suite that
// every SQL statement of the project passes on each engine it runs on.
//
// The engine is the embedded one, or the server that AFTERTOUCH_TEST_CLICKHOUSE_DSN names.
package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/aftertouch-io/aftertouch/internal/embedded/embeddedtest"
	"github.com/aftertouch-io/aftertouch/internal/store"
)

// Open returns a store on a new, migrated database, which is dropped when the test ends. In a test every query is explained
// before it runs for the first time.
func Open(t testing.TB) *store.Store {
	t.Helper()
	s, _ := OpenRecorded(t)
	return s
}

// OpenRecorded is Open, and returns what records the statements.
func OpenRecorded(t testing.TB) (*store.Store, *Recorder) {
	t.Helper()
	r := &Recorder{t: t, seen: map[string]bool{}}
	cfg := store.Default()
	if _, ok := t.(*testing.T); ok {
		cfg.Wrap = r.wrap
	}
	s := OpenEmpty(t, cfg)
	if err := s.Migrate(Context(t), store.MigrateOptions{}); err != nil {
		t.Fatalf("migrating: %v", err)
	}
	return s, r
}

// OpenEmpty returns a store on a new database without tables.
func OpenEmpty(t testing.TB, cfg store.Config) *store.Store {
	t.Helper()
	return OpenDSN(t, embeddedtest.ClickHouse(t), cfg)
}

// OpenDSN returns another store on a database.
func OpenDSN(t testing.TB, dsn string, cfg store.Config) *store.Store {
	t.Helper()
	s, err := store.Open(Context(t), dsn, cfg)
	if err != nil {
		t.Fatalf("opening the store: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("closing the store: %v", err)
		}
	})
	return s
}

// Context returns a context that ends with the test, or after two minutes.
func Context(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// Insert writes a batch and fails the test when it cannot.
func Insert(t testing.TB, s *store.Store, b *store.Batch) {
	t.Helper()
	if err := s.Insert(Context(t), b); err != nil {
		t.Fatalf("inserting: %v", err)
	}
}
