package store

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"text/template"
)

//go:embed migrations/*.sql
var embedded embed.FS

// ErrSchema reports a database whose schema is not one that this build can bring up to date.
var ErrSchema = errors.New("schema mismatch")

// MigrateOptions say which kind of tables to make.
type MigrateOptions struct {
	// Cluster is the cluster to run the statements on; empty for one server.
	Cluster string
	// Replicated makes replicated tables. The servers define the macros {shard} and {replica}.
	Replicated bool
}

// OnCluster is the clause after a name in CREATE, ALTER and DROP.
func (o MigrateOptions) OnCluster() string {
	if o.Cluster == "" {
		return ""
	}
	return "ON CLUSTER '" + quote.Replace(o.Cluster) + "'"
}

var quote = strings.NewReplacer(`\`, `\\`, `'`, `\'`)

// Replacing is the engine of a table whose newest version wins.
func (o MigrateOptions) Replacing(version string) string {
	if o.Replicated {
		return "ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}', " + version + ")"
	}
	return "ReplacingMergeTree(" + version + ")"
}

// Durable are the settings with which an acknowledged insert survives a power failure. A part that an insert makes is
// compact, because it is written and synced as one file instead of one or two for each column; merging makes it wide.
func (MigrateOptions) Durable() string {
	return "fsync_after_insert = 1, fsync_part_directory = 1, min_level_for_wide_part = 1"
}

// migration is one file of the schema.
type migration struct {
	number   int
	name     string
	checksum string
	source   string
}

// readMigrations returns the files NNNN_name.sql in order. Numbers start at 1 and have no gaps.
func readMigrations(files fs.FS) ([]migration, error) {
	names, err := fs.Glob(files, "migrations/*.sql")
	if err != nil {
		return nil, fmt.Errorf("listing migrations: %w", err)
	}
	slices.Sort(names)
	all := make([]migration, 0, len(names))
	for i, file := range names {
		source, err := fs.ReadFile(files, file)
		if err != nil {
			return nil, fmt.Errorf("reading migration %s: %w", file, err)
		}
		digits, name, _ := strings.Cut(strings.TrimSuffix(path.Base(file), ".sql"), "_")
		number, err := strconv.Atoi(digits)
		if err != nil || len(digits) != 4 || name == "" || number != i+1 {
			return nil, fmt.Errorf("reading migration %s: the name must be %04d_name.sql", file, i+1)
		}
		sum := sha256.Sum256(source)
		all = append(all, migration{number, name, hex.EncodeToString(sum[:]), string(source)})
	}
	return all, nil
}

// statements returns the statements of the migration for the given kind of tables.
func (m *migration) statements(opts MigrateOptions) ([]string, error) {
	tmpl, err := template.New(m.name).Option("missingkey=error").Parse(m.source)
	if err != nil {
		return nil, fmt.Errorf("parsing migration %04d_%s: %w", m.number, m.name, err)
	}
	var text strings.Builder
	if err := tmpl.Execute(&text, opts); err != nil {
		return nil, fmt.Errorf("expanding migration %04d_%s: %w", m.number, m.name, err)
	}
	return splitStatements(text.String()), nil
}

// splitStatements splits at semicolons that end a line and leaves out comment lines.
func splitStatements(text string) []string {
	var all []string
	var statement strings.Builder
	for line := range strings.Lines(text) {
		trimmed := strings.TrimSpace(line)
		if strings.HasPrefix(trimmed, "--") {
			continue
		}
		if body, ended := strings.CutSuffix(trimmed, ";"); ended {
			statement.WriteString(body)
			all = append(all, strings.TrimSpace(statement.String()))
			statement.Reset()
			continue
		}
		statement.WriteString(line)
	}
	if rest := strings.TrimSpace(statement.String()); rest != "" {
		all = append(all, rest)
	}
	return all
}

// applied is a row of table schema_migrations.
type applied struct {
	number         uint32
	name, checksum string
}

// pending returns the migrations that the database lacks. It fails with ErrSchema when an applied one has been edited since,
// or is not known to this build.
func pending(all []migration, done []applied) ([]migration, error) {
	for i, a := range done {
		switch {
		case i >= len(all) || int(a.number) > len(all):
			return nil, fmt.Errorf("%w: the database has migration %04d_%s, which this build does not know: run a newer build", ErrSchema, a.number, a.name)
		case int(a.number) != i+1:
			return nil, fmt.Errorf("%w: the database has migration %04d_%s and lacks %04d", ErrSchema, a.number, a.name, i+1)
		case a.checksum != all[i].checksum:
			return nil, fmt.Errorf("%w: migration %04d_%s is not the one that was applied (checksum %.12s, applied %.12s)", ErrSchema, a.number, a.name, all[i].checksum, a.checksum)
		}
	}
	return all[len(done):], nil
}
