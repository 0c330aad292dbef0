package store

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/prometheus/client_golang/prometheus"
)

// DefaultDatabase is the database of a DSN that names none.
const DefaultDatabase = "aftertouch"

// Config says how rows are written.
type Config struct {
	// MaxRows and MaxBytes bound one insert; a larger batch is written in several. Default 500,000 rows and 128 MiB.
	MaxRows  int
	MaxBytes int
	// RetryFor is how long an insert whose outcome is unknown is tried again before Insert gives up. Default 1 minute.
	RetryFor time.Duration
	// MaxConns bounds the connections to ClickHouse. Default 16.
	MaxConns int
	// Quorum makes inserts wait until a majority of the replicas has them. For replicated tables. Default false.
	Quorum bool
	// Wrap is put around the connections; nil leaves them as they are. Tests watch statements with it.
	Wrap func(driver.Conn) driver.Conn
	// Logger receives what is worth knowing; nil discards it.
	Logger *slog.Logger
	// Registerer receives the metrics; nil registers none.
	Registerer prometheus.Registerer
}

// Default returns the defaults named above.
func Default() Config {
	return Config{MaxRows: 500_000, MaxBytes: 128 << 20, RetryFor: time.Minute, MaxConns: 16}
}

// Validate reports every value that is out of its range.
func (c Config) Validate() error {
	return errors.Join(
		positive("MaxRows", c.MaxRows),
		positive("MaxBytes", c.MaxBytes),
		positive("MaxConns", c.MaxConns),
		positive("RetryFor", int(c.RetryFor)),
	)
}

func positive(name string, v int) error {
	if v <= 0 {
		return fmt.Errorf("%s is %d, must be positive", name, v)
	}
	return nil
}
