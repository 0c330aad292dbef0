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
	// ExactExposures is the number of exposures up to which performance counts people for every answer. Above it exposed
	// and acted may have been counted up to PeopleAge ago; rows then say exact = false. Default 500,000.
	ExactExposures uint64 `name:"exact-exposures" help:"Exposures up to which performance counts people for every answer."`
	// PeopleAge is described there; default 5 min.
	PeopleAge time.Duration `name:"people-age" help:"How old the count of people may be above that."`
}

// Default returns the defaults.
func Default() Config {
	return Config{Timeout: time.Minute, MaxMemoryBytes: 4 << 30, ExactExposures: 500_000, PeopleAge: 5 * time.Minute}
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
	if c.PeopleAge < 0 {
		errs = append(errs, errors.New("query people age must not be below 0"))
	}
	return errors.Join(errs...)
}
