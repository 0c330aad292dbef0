package store_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/aftertouch-io/aftertouch/internal/embedded/embeddedtest"
	"github.com/aftertouch-io/aftertouch/internal/store"
	"github.com/aftertouch-io/aftertouch/internal/store/storetest"
)

const createA = "CREATE TABLE IF NOT EXISTS a {{.OnCluster}} (id UInt8) ENGINE = {{.Replacing \"id\"}} ORDER BY id SETTINGS {{.Durable}};\n"

func files(pairs ...string) fstest.MapFS {
	fs := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		fs["migrations/"+pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return fs
}

func names(t *testing.T, s *store.Store) []string {
	t.Helper()
	return texts(t, s, "SELECT name FROM system.tables WHERE database = currentDatabase() ORDER BY name")
}

func TestMigratingAgainChangesNothing(t *testing.T) {
	s := storetest.Open(t)
	storetest.Insert(t, s, storetest.Batch())
	before, applied := contents(t, s), texts(t, s, "SELECT toString(applied_at) FROM schema_migrations ORDER BY number")
	if err := s.Migrate(storetest.Context(t), store.MigrateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := s.CheckSchema(storetest.Context(t)); err != nil {
		t.Errorf("the schema of this build is refused: %v", err)
	}
	if diff := cmp.Diff(before, contents(t, s)); diff != "" {
		t.Errorf("migrating again changed rows:\n%s", diff)
	}
	if diff := cmp.Diff(applied, texts(t, s, "SELECT toString(applied_at) FROM schema_migrations ORDER BY number")); diff != "" {
		t.Errorf("migrations were applied again:\n%s", diff)
	}
	for _, name := range names(t, s) {
		if strings.Contains(name, "lock") {
			t.Errorf("table %s was left behind", name)
		}
	}
}

func TestMigrateCreatesTheDatabase(t *testing.T) {
	dsn, err := url.Parse(embeddedtest.ClickHouse(t))
	if err != nil {
		t.Fatal(err)
	}
	dsn.Path += "_made"
	s := storetest.OpenDSN(t, dsn.String(), store.Default())
	t.Cleanup(func() {
		if err := s.Conn().Exec(context.WithoutCancel(t.Context()), "DROP DATABASE "+s.Database()+" SYNC"); err != nil {
			t.Error(err)
		}
	})
	if err := s.CheckSchema(storetest.Context(t)); !errors.Is(err, store.ErrSchema) {
		t.Errorf("an absent database is accepted: %v", err)
	}
	if err := s.Migrate(storetest.Context(t), store.MigrateOptions{}); err != nil {
		t.Fatal(err)
	}
	storetest.Insert(t, s, storetest.Batch())
}

func TestMigrationsAreAppliedInSteps(t *testing.T) {
	s, ctx := storetest.OpenEmpty(t, store.Default()), storetest.Context(t)
	for _, fs := range []fstest.MapFS{
		files("0001_a.sql", createA),
		files("0001_a.sql", createA, "0002_b.sql", "-- a comment;\nALTER TABLE a ADD COLUMN IF NOT EXISTS name String;\n"+strings.ReplaceAll(createA, " a ", " b ")),
	} {
		if err := store.MigrateFrom(ctx, s, store.MigrateOptions{}, fs); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"a", "b", "schema_migrations"}, names(t, s)); diff != "" {
		t.Errorf("tables (-want +got):\n%s", diff)
	}
	if err := s.Conn().Exec(ctx, "INSERT INTO a (id, name) VALUES (1, 'x')"); err != nil {
		t.Error(err)
	}
}

func TestMigrationsThatDoNotFitAreRefused(t *testing.T) {
	done := files("0001_a.sql", createA, "0002_b.sql", "SELECT 1;\n")
	for name, fs := range map[string]fstest.MapFS{
		"edited":        files("0001_a.sql", createA+"\n", "0002_b.sql", "SELECT 1;\n"),
		"unknown newer": files("0001_a.sql", createA),
		"badly named":   files("0001_a.sql", createA, "0003_b.sql", "SELECT 1;\n"),
	} {
		t.Run(name, func(t *testing.T) {
			s, ctx := storetest.OpenEmpty(t, store.Default()), storetest.Context(t)
			if err := store.MigrateFrom(ctx, s, store.MigrateOptions{}, done); err != nil {
				t.Fatal(err)
			}
			err := store.MigrateFrom(ctx, s, store.MigrateOptions{}, fs)
			if err == nil || name != "badly named" && !errors.Is(err, store.ErrSchema) {
				t.Errorf("error is %v", err)
			}
		})
	}
}

func TestAnInterruptedMigrationIsTakenUpAgain(t *testing.T) {
	s, ctx := storetest.OpenEmpty(t, store.Default()), storetest.Context(t)
	broken := createA + "SELECT throwIf(1);\n"
	if err := store.MigrateFrom(ctx, s, store.MigrateOptions{}, files("0001_a.sql", broken)); err == nil {
		t.Fatal("the broken statement passed")
	}
	if err := s.Conn().Exec(ctx, "INSERT INTO a VALUES (7)"); err != nil {
		t.Fatal(err)
	}
	// What was interrupted has not been recorded, so its file may still be mended.
	if err := store.MigrateFrom(ctx, s, store.MigrateOptions{}, files("0001_a.sql", createA)); err != nil {
		t.Fatal(err)
	}
	if got := texts(t, s, "SELECT toString(id) FROM a"); !cmp.Equal(got, []string{"7"}) {
		t.Errorf("rows are %v", got)
	}
}

func TestMigratorsWaitForEachOther(t *testing.T) {
	dsn := embeddedtest.ClickHouse(t)
	slow := files("0001_a.sql", createA+"SELECT sleep(1);\nINSERT INTO a SELECT 1;\n")
	var wg sync.WaitGroup
	for range 3 {
		s := storetest.OpenDSN(t, dsn, store.Default())
		wg.Go(func() {
			if err := store.MigrateFrom(storetest.Context(t), s, store.MigrateOptions{}, slow); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	s := storetest.OpenDSN(t, dsn, store.Default())
	if got := texts(t, s, "SELECT toString(count()) FROM a"); got[0] != "1" {
		t.Errorf("the migration ran %s times", got[0])
	}
}

func TestADeadMigratorsLockIsTakenOver(t *testing.T) {
	t.Parallel() // it waits
	s, ctx := storetest.OpenEmpty(t, store.Default()), storetest.Context(t)
	if err := s.Conn().Exec(ctx, "CREATE TABLE schema_migrations_lock (beat DateTime) ENGINE = Memory"); err != nil {
		t.Fatal(err)
	}
	if err := s.Migrate(ctx, store.MigrateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func TestReplicatedTables(t *testing.T) {
	opts := store.MigrateOptions{Cluster: "it's", Replicated: true}
	statements, err := store.Statements(store.Embedded, opts)
	if err != nil {
		t.Fatal(err)
	}
	created := 0
	for _, statement := range statements {
		first, _, _ := strings.Cut(statement, "\n")
		if !strings.Contains(first, `ON CLUSTER 'it\'s'`) {
			t.Errorf("not on the cluster: %s", first)
		}
		if !strings.HasPrefix(statement, "CREATE TABLE") {
			continue
		}
		created++
		if !strings.Contains(statement, "ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}', ") {
			t.Errorf("not replicated: %s", first)
		}
		if !strings.Contains(statement, "fsync_after_insert = 1, fsync_part_directory = 1") {
			t.Errorf("not durable: %s", first)
		}
	}
	if created < len(tables) {
		t.Errorf("%d tables are created, want at least %d", created, len(tables))
	}
}

func TestTablesKeepWhatIsAcknowledged(t *testing.T) {
	s := storetest.Open(t)
	for table := range tables {
		got := texts(t, s, fmt.Sprintf("SELECT engine_full FROM system.tables WHERE database = currentDatabase() AND name = '%s'", table))
		for _, want := range []string{"ReplacingMergeTree(version)", "fsync_after_insert = 1", "fsync_part_directory = 1"} {
			if !strings.Contains(got[0], want) {
				t.Errorf("%s lacks %s: %s", table, want, got[0])
			}
		}
	}
}
