package collector

import (
	"errors"
	"fmt"
	"time"

	"github.com/aftertouch-io/aftertouch/internal/event"
	"github.com/aftertouch-io/aftertouch/services/collector/robots"
)

// Config configures a Collector.
type Config struct {
	// ByteBudget bounds the bytes of requests that wait for acknowledgement, in bytes. Over it callers are told to come
	// back (E3); streams are held back. Default 64 MiB.
	ByteBudget int64 `default:"67108864" help:"Bytes of requests that may wait for acknowledgement." name:"byte-budget"`
	// AppendTimeout bounds the wait for the brokers; then the events go to the spool, or are answered as unavailable.
	// Default 5s.
	AppendTimeout time.Duration `default:"5s" help:"How long to wait for the brokers before spooling." name:"append-timeout"`
	// SpoolDir is where events wait while the brokers are away (E4); empty for no spool.
	SpoolDir string `help:"Directory of the spool; empty for none." name:"spool-dir" type:"path"`
	// SpoolBytes bounds the spool, in bytes. Default 1 GiB.
	SpoolBytes int64 `default:"1073741824" help:"Most bytes in the spool." name:"spool-bytes"`
	// SpoolRetry is the pause between attempts to deliver the spool. Default 1s.
	SpoolRetry time.Duration `default:"1s" help:"Pause between attempts to deliver the spool." name:"spool-retry"`
	// StreamWindow is how many batches of one stream may wait for acknowledgement. Default 8.
	StreamWindow int `default:"8" help:"Batches in flight on one stream." name:"stream-window"`
	// PixelWait bounds how long the pixel waits for the acknowledgement that its header reports. Default 2s.
	PixelWait time.Duration `default:"2s" help:"How long a pixel waits for acknowledgement." name:"pixel-wait"`
	// RedirectWait bounds how long a redirect waits for the log (E5). Default and maximum 50ms.
	RedirectWait time.Duration `default:"50ms" help:"How long a redirect waits for the log." name:"redirect-wait"`
	// RefusalInterval is how often refusal counts are appended to the log (E7). Default 10s.
	RefusalInterval time.Duration `default:"10s" help:"How often refusal counts are appended to the log." name:"refusal-interval"`
	// RobotExceptions are the tags of the robot list that do not make a robot. Default http-library.
	RobotExceptions []string `default:"http-library" help:"Tags of the robot list that are no robots." name:"robot-exceptions"`
	// CountryHeader names the request header in which a trusted proxy puts the visitor's country (ISO 3166-1 alpha-2);
	// empty for none.
	CountryHeader string `help:"Header in which a trusted proxy puts the country." name:"country-header"`
}

// Default returns the defaults named in the fields' comments.
func Default() Config {
	return Config{
		ByteBudget: 64 << 20, AppendTimeout: 5 * time.Second, SpoolBytes: 1 << 30, SpoolRetry: time.Second, StreamWindow: 8,
		PixelWait: 2 * time.Second, RedirectWait: maxRedirectWait, RefusalInterval: 10 * time.Second,
		RobotExceptions: []string{robots.HTTPLibrary},
	}
}

const maxRedirectWait = 50 * time.Millisecond

// Validate reports everything that is wrong.
func (c Config) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(c.ByteBudget >= 2*event.MaxBatchBytes, "byte-budget: %d is less than two batches (%d)", c.ByteBudget, 2*event.MaxBatchBytes)
	check(c.AppendTimeout > 0, "append-timeout: %v is not positive", c.AppendTimeout)
	check(c.SpoolDir == "" || c.SpoolBytes >= 4<<20, "spool-bytes: %d is less than 4 MiB", c.SpoolBytes)
	check(c.SpoolRetry > 0, "spool-retry: %v is not positive", c.SpoolRetry)
	check(c.StreamWindow >= 1 && c.StreamWindow <= 1024, "stream-window: %d is not 1 to 1024", c.StreamWindow)
	check(c.PixelWait > 0, "pixel-wait: %v is not positive", c.PixelWait)
	check(c.RedirectWait > 0 && c.RedirectWait <= maxRedirectWait, "redirect-wait: %v is not above 0 and at most %v", c.RedirectWait, maxRedirectWait)
	check(c.RefusalInterval >= 100*time.Millisecond, "refusal-interval: %v is less than 100ms", c.RefusalInterval)
	return errors.Join(errs...)
}
