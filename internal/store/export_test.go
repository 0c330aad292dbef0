package store

import (
	"context"
	"io/fs"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/aftertouch-io/aftertouch/internal/attribution"
)

// UseBatches makes a store on an HTTP connection insert as over the native protocol.
func UseBatches(s *Store) { s.native = true }

// WrapConn replaces the connections by what wrap makes of them.
func WrapConn(s *Store, wrap func(driver.Conn) driver.Conn) { s.conn = wrap(s.conn) }

// MigrateFrom applies the migrations in files.
func MigrateFrom(ctx context.Context, s *Store, opts MigrateOptions, files fs.FS) error {
	all, err := readMigrations(files)
	if err != nil {
		return err
	}
	return s.migrate(ctx, opts, all)
}

// Statements returns the statements of all migrations.
func Statements(files fs.FS, opts MigrateOptions) ([]string, error) {
	all, err := readMigrations(files)
	if err != nil {
		return nil, err
	}
	var statements []string
	for i := range all {
		own, err := all[i].statements(opts)
		if err != nil {
			return nil, err
		}
		statements = append(statements, own...)
	}
	return statements, nil
}

// Embedded holds the migrations of this build.
var Embedded = embedded

// Sizes returns the estimated and the real size of the rows of facts and journeys as they are sent.
func Sizes(e *attribution.Effects, key func(string) []byte) (estimated, sent int) {
	b, id := newBuffers(), &identifier{key: key}
	for i := range e.Facts {
		b.facts.add(&e.Facts[i], id)
	}
	for i := range e.Journeys {
		b.journeys.add(&e.Journeys[i], id)
	}
	for _, t := range []*table{&b.facts.table, &b.journeys.table} {
		for _, part := range t.block(t.sent()) {
			sent += len(part)
		}
		estimated += t.bytes
	}
	return estimated, sent
}
