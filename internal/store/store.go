package store

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// codeUnknownDatabase is what the engine answers for a database that does not exist (yet).
const codeUnknownDatabase = 81

// Store is one ClickHouse database. It is safe for concurrent use.
type Store struct {
	conn    driver.Conn
	options *clickhouse.Options
	cfg     Config
	log     *slog.Logger
	metrics *metrics
	// buffers of former batches, for the next ones.
	buffers chan *buffers
	native  bool
	// settings go with every insert.
	settings clickhouse.Settings
}

// Open connects to ClickHouse and fails when it does not answer. A database that does not exist is no error: Migrate creates
// it. The DSN is one of clickhouse-go: clickhouse://user:password@host:9000/database for the native protocol, http:// or
// https:// for HTTP; its parameters may name further hosts, TLS and settings.
func Open(ctx context.Context, dsn string, cfg Config) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("checking the store's configuration: %w", err)
	}
	options, err := clickhouse.ParseDSN(dsn)
	if err != nil {
		return nil, fmt.Errorf("parsing the ClickHouse DSN: %w", err)
	}
	complete(options, cfg)
	conn, err := clickhouse.Open(options)
	if err != nil {
		return nil, fmt.Errorf("opening ClickHouse: %w", err)
	}
	if err := conn.Ping(ctx); err != nil && !isException(err, codeUnknownDatabase) {
		_ = conn.Close()
		return nil, fmt.Errorf("connecting to ClickHouse: %w", err)
	}
	if cfg.Wrap != nil {
		conn = cfg.Wrap(conn)
	}
	s := &Store{
		conn: conn, options: options, cfg: cfg, log: cfg.Logger, native: options.Protocol == clickhouse.Native,
		settings: insertSettings(cfg), buffers: make(chan *buffers, keptBuffers), metrics: newMetrics(cfg.Registerer),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	return s, nil
}

// complete fills in what the DSN leaves open.
func complete(o *clickhouse.Options, cfg Config) {
	if o.Auth.Database == "" {
		o.Auth.Database = DefaultDatabase
	}
	if o.Protocol == clickhouse.Native && o.Compression == nil {
		o.Compression = &clickhouse.Compression{Method: clickhouse.CompressionLZ4}
	}
	if o.MaxOpenConns == 0 {
		o.MaxOpenConns = cfg.MaxConns
	}
	if o.MaxIdleConns == 0 {
		o.MaxIdleConns = cfg.MaxConns
	}
}

// insertSettings make the engine acknowledge an insert only when its rows are in the table. Blocks are not de-duplicated:
// identity and version do that, and a token may outlive the rows it stands for. Nor are rows merged while they are
// inserted, which would go row by row and take more than twice the time of the insert itself.
func insertSettings(cfg Config) clickhouse.Settings {
	s := clickhouse.Settings{
		"async_insert":                    0,
		"insert_deduplicate":              0,
		"optimize_on_insert":              0,
		"max_partitions_per_insert_block": 0,
	}
	if cfg.Quorum {
		s["insert_quorum"] = "auto"
	}
	return s
}

// Conn returns the connections, for reading.
func (s *Store) Conn() driver.Conn { return s.conn }

// Database returns the name of the database.
func (s *Store) Database() string { return s.options.Auth.Database }

// Close closes the connections.
func (s *Store) Close() error { return s.conn.Close() }

// Progress is how far one partition of the log has been written.
type Progress struct {
	Epoch     uint16
	Partition int32
	// Next is the offset of the first record that has not been applied.
	Next int64
	// AppliedTime is the timestamp of the newest record applied.
	AppliedTime time.Time
}

// Progress returns the progress of the newest epoch, by partition.
func (s *Store) Progress(ctx context.Context) (map[int32]Progress, error) {
	rows, err := s.conn.Query(ctx, progressSQL)
	if err != nil {
		return nil, fmt.Errorf("reading progress: %w", err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err reports what matters
	all := map[int32]Progress{}
	for rows.Next() {
		var p Progress
		if err := rows.Scan(&p.Epoch, &p.Partition, &p.Next, &p.AppliedTime); err != nil {
			return nil, fmt.Errorf("reading progress: %w", err)
		}
		all[p.Partition] = p
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading progress: %w", err)
	}
	return all, nil
}

const progressSQL = `SELECT epoch, partition, next_offset, applied_time FROM progress FINAL
WHERE epoch = (SELECT max(epoch) FROM progress)`
