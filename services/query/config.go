package query

import (
	"errors"
	"time"
)

// Config bounds what one report may cost.
type Config struct {
	// Timeout of one report; default 60 s.
	Timeout time.Duration `help:"Time of one report."`
	// MaxMemoryBytes that the engine may use for one statement; default 4 GiB, 0 for the engine's own bound.
	MaxMemoryBytes uint64 `name:"max-memory-bytes" help:"Memory that the engine may use for one statement; 0 for its own bound."`
	// MaxThreads of one statement; default 0, the engine's own bound.
	MaxThreads uint `name:"max-threads" help:"Threads of one statement; 0 for the engine's own bound."`
	// ExactExposures is the number of exposures in scope up to which performance counts people exactly; above it exposed
	// and acted are estimates from a sample of the people. Default 3,000,000.
	ExactExposures uint64 `name:"exact-exposures" help:"Exposures up to which performance counts people exactly."`
}

// Default returns the defaults.
func Default() Config {
	return Config{Timeout: time.Minute, MaxMemoryBytes: 4 << 30, ExactExposures: 3_000_000}
}

// Validate reports every value that is out of its range.
func (c Config) Validate() error {
	var errs []error
	if c.Timeout <= 0 {
		errs = append(errs, errors.New("query timeout must be above 0"))
	}
	if c.MaxMemoryBytes != 0 && c.MaxMemoryBytes < 64<<20 {
		errs = append(errs, errors.New("query max memory must be 0 or at least 64 MiB"))
	}
	if c.ExactExposures == 0 {
		errs = append(errs, errors.New("query exact exposures must be above 0"))
	}
	return errors.Join(errs...)
}
