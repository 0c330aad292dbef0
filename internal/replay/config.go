package replay

import (
	"errors"
	"fmt"
	"time"
)

// Config says what to replay and how.
type Config struct {
	// File is the path of the JSON lines.
	File string
	// Batch is the number of events sent together, 1 to 1,000.
	Batch int
	// InFlight is the number of batches sent before the first is answered, 1 to 64.
	InFlight int
	// Restart ignores what an earlier replay of the file remembered.
	Restart bool
	// Patience is how long to go on trying while the collector is unavailable or away.
	Patience time.Duration
}

// Default returns the settings that suit a local collector.
func Default() Config {
	return Config{Batch: 500, InFlight: 8, Patience: 2 * time.Minute}
}

// Validate reports every setting that is out of range.
func (c Config) Validate() error {
	var errs []error
	if c.File == "" {
		errs = append(errs, errors.New("file: name the file of JSON lines to replay"))
	}
	if c.Batch < 1 || c.Batch > 1000 {
		errs = append(errs, fmt.Errorf("batch: %d is not from 1 to 1000", c.Batch))
	}
	if c.InFlight < 1 || c.InFlight > 64 {
		errs = append(errs, fmt.Errorf("in-flight: %d is not from 1 to 64", c.InFlight))
	}
	if c.Patience < 0 {
		errs = append(errs, fmt.Errorf("patience: %s is negative", c.Patience))
	}
	return errors.Join(errs...)
}
