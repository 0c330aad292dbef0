package store

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// codeUnknownTable is what the engine answers for a table that does not exist.
const codeUnknownTable = 60

const createMigrationsSQL = `CREATE TABLE IF NOT EXISTS schema_migrations {{.OnCluster}} (
    number     UInt32,
    name       String,
    checksum   String,
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = {{.Replacing "applied_at"}}
ORDER BY number
SETTINGS {{.Durable}}`

const (
	appliedSQL         = `SELECT number, name, checksum FROM schema_migrations FINAL ORDER BY number`
	recordMigrationSQL = `INSERT INTO schema_migrations (number, name, checksum) VALUES (?, ?, ?)`
)

// Migrate creates the database when it does not exist and applies the migrations that it lacks. Migrators wait for each other.
// An interrupted run is taken up again by the next one. It fails with ErrSchema when the database has an edited migration or one
// that this build does not know.
func (s *Store) Migrate(ctx context.Context, opts MigrateOptions) error {
	all, err := readMigrations(embedded)
	if err != nil {
		return err
	}
	return s.migrate(ctx, opts, all)
}

// CheckSchema fails with ErrSchema unless the database has exactly the migrations of this build. Services that do not
// migrate themselves call it before they write or read.
func (s *Store) CheckSchema(ctx context.Context) error {
	all, err := readMigrations(embedded)
	if err != nil {
		return err
	}
	done, err := s.applied(ctx)
	if err != nil {
		return err
	}
	missing, err := pending(all, done)
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		return fmt.Errorf("%w: the database lacks migration %04d_%s: run aftertouch migrate", ErrSchema, missing[0].number, missing[0].name)
	}
	return nil
}

func (s *Store) migrate(ctx context.Context, opts MigrateOptions, all []migration) error {
	if err := s.createDatabase(ctx, opts); err != nil {
		return err
	}
	missing, err := s.missing(ctx, all)
	if err != nil || len(missing) == 0 {
		return err
	}
	unlock, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	create := migration{name: "schema_migrations", source: createMigrationsSQL}
	if err := s.apply(ctx, &create, opts); err != nil {
		return err
	}
	if missing, err = s.missing(ctx, all); err != nil { // another migrator may have been at work before the lock
		return err
	}
	for i := range missing {
		m := &missing[i]
		if err := s.apply(ctx, m, opts); err != nil {
			return err
		}
		if err := s.conn.Exec(ctx, recordMigrationSQL, uint32(m.number), m.name, m.checksum); err != nil {
			return fmt.Errorf("recording migration %04d_%s: %w", m.number, m.name, err)
		}
		s.log.LogAttrs(ctx, slog.LevelInfo, "migration applied", slog.Int("number", m.number), slog.String("name", m.name))
	}
	return nil
}

func (s *Store) missing(ctx context.Context, all []migration) ([]migration, error) {
	done, err := s.applied(ctx)
	if err != nil {
		return nil, err
	}
	return pending(all, done)
}

// applied reads what the database has; a database without the table has nothing.
func (s *Store) applied(ctx context.Context) ([]applied, error) {
	rows, err := s.conn.Query(ctx, appliedSQL)
	if isException(err, codeUnknownTable) || isException(err, codeUnknownDatabase) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the applied migrations: %w", err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err reports what matters
	var done []applied
	for rows.Next() {
		var a applied
		if err := rows.Scan(&a.number, &a.name, &a.checksum); err != nil {
			return nil, fmt.Errorf("reading the applied migrations: %w", err)
		}
		done = append(done, a)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading the applied migrations: %w", err)
	}
	return done, nil
}

func (s *Store) apply(ctx context.Context, m *migration, opts MigrateOptions) error {
	statements, err := m.statements(opts)
	if err != nil {
		return err
	}
	for i, statement := range statements {
		if err := s.conn.Exec(ctx, statement); err != nil {
			first, _, _ := strings.Cut(statement, "\n")
			return fmt.Errorf("applying migration %04d_%s, statement %d (%s): %w", m.number, m.name, i+1, first, err)
		}
	}
	return nil
}

// createDatabase connects to the server's default database when the schema's own does not exist.
func (s *Store) createDatabase(ctx context.Context, opts MigrateOptions) error {
	err := s.conn.Exec(ctx, "SELECT 1")
	if !isException(err, codeUnknownDatabase) {
		return err
	}
	elsewhere := *s.options
	elsewhere.Auth.Database = "default"
	conn, err := clickhouse.Open(&elsewhere)
	if err != nil {
		return fmt.Errorf("creating database %s: %w", s.Database(), err)
	}
	defer conn.Close() //nolint:errcheck // nothing is lost
	statement := "CREATE DATABASE IF NOT EXISTS `" + strings.ReplaceAll(s.Database(), "`", "\\`") + "` " + opts.OnCluster()
	if err := conn.Exec(ctx, statement); err != nil {
		return fmt.Errorf("creating database %s: %w", s.Database(), err)
	}
	return nil
}

// The lock is a table, because creating one is the only thing that ClickHouse lets exactly one of two clients do. Its
// holder writes heartbeats; a lock without them is left behind by a migrator that died.
const (
	createLockSQL = `CREATE TABLE schema_migrations_lock (beat DateTime) ENGINE = Memory`
	beatLockSQL   = `INSERT INTO schema_migrations_lock SELECT now()`
	dropLockSQL   = `DROP TABLE IF EXISTS schema_migrations_lock SYNC`
	lockAgeSQL    = `SELECT toInt64(toUnixTimestamp(now())) - greatest(
    (SELECT toInt64(max(toUnixTimestamp(beat))) FROM schema_migrations_lock),
    toInt64(toUnixTimestamp(any(metadata_modification_time))))
FROM system.tables WHERE database = currentDatabase() AND name = 'schema_migrations_lock'`

	codeTableExists = 57
	beatEvery       = 3 * time.Second
	lockDeadAfter   = 15 // seconds
	lockPoll        = 300 * time.Millisecond
)

// lock waits until no other migrator is at work. The lock is best effort: two migrators that find the same dead lock can
// both take it, which the statements' IF NOT EXISTS makes harmless.
func (s *Store) lock(ctx context.Context) (unlock func(), err error) {
	for {
		err := s.conn.Exec(ctx, createLockSQL)
		if err == nil {
			return s.hold(ctx), nil
		}
		if !isException(err, codeTableExists) {
			return nil, fmt.Errorf("locking the schema: %w", err)
		}
		if err := s.dropDeadLock(ctx); err != nil {
			return nil, fmt.Errorf("waiting for another migrator: %w", err)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for another migrator: %w", ctx.Err())
		case <-time.After(lockPoll):
		}
	}
}

func (s *Store) dropDeadLock(ctx context.Context) error {
	var age int64
	err := s.conn.QueryRow(ctx, lockAgeSQL).Scan(&age)
	if isException(err, codeUnknownTable) {
		return nil
	}
	if err != nil || age < lockDeadAfter {
		return err
	}
	s.log.LogAttrs(ctx, slog.LevelWarn, "taking over a dead migration lock", slog.Int64("age_seconds", age))
	return s.conn.Exec(ctx, dropLockSQL)
}

// hold writes heartbeats until the returned function is called, which gives the lock up even when ctx has ended.
func (s *Store) hold(ctx context.Context) func() {
	beating, stop := context.WithCancel(ctx)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(beatEvery)
		defer tick.Stop()
		for {
			_ = s.conn.Exec(beating, beatLockSQL) // a missed beat is made up for by the next one
			select {
			case <-beating.Done():
				return
			case <-tick.C:
			}
		}
	}()
	return func() {
		stop()
		<-stopped
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lockDeadAfter*time.Second)
		defer cancel()
		if err := s.conn.Exec(ctx, dropLockSQL); err != nil {
			s.log.LogAttrs(ctx, slog.LevelWarn, "leaving a migration lock behind", slog.Any("error", err))
		}
	}
}
