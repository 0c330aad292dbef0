package attributor

import (
	"errors"
	"time"

	"github.com/aftertouch-io/aftertouch/internal/attribution"
)

// Config says how the attributor works. It can be embedded in the flags of a command.
type Config struct {
	// Group is the consumer group that shares the partitions. Default aftertouch.attributor.
	Group string `name:"group" default:"aftertouch.attributor" help:"Consumer group that shares the partitions."`
	// MaxRecords bounds the records of one batch. Default 50000.
	MaxRecords int `name:"max-records" default:"50000" help:"Records of one batch."`
	// MaxBytes bounds the keys and values of one batch, in bytes. A partition holds two batches at a time. Default 16 MiB.
	MaxBytes int `name:"max-bytes" default:"16777216" help:"Bytes of one batch's records."`
	// MaxRows bounds the rows that one batch writes to one table, MaxRowBytes about how many bytes they all take. A batch
	// whose records make more is committed in parts. Defaults 200000 and 64 MiB.
	MaxRows     int `name:"max-rows" default:"200000" help:"Rows of one insert into one table."`
	MaxRowBytes int `name:"max-row-bytes" default:"67108864" help:"Bytes of one insert, about."`
	// MinInterval is the shortest time between the beginnings of two batches of a partition, unless one is full: each
	// batch makes the tables' engine write a part to every table. Default 250 ms.
	MinInterval time.Duration `name:"min-interval" default:"250ms" help:"Shortest time between two batches of a partition, unless full."`
	// PollWait is how long a fetch waits for the first record; records end the wait. Default 500 ms.
	PollWait time.Duration `name:"poll-wait" default:"500ms" help:"How long a fetch waits for records."`
	// RetryFor is how long a step of the protocol is tried again before the partition starts anew. Default 1 min.
	RetryFor time.Duration `name:"retry-for" default:"1m" help:"How long a failing step is tried again."`
	// DrainTimeout is how long a batch under way may take after the attributor was told to stop, or lost its partition.
	// Default 10 s.
	DrainTimeout time.Duration `name:"drain-timeout" default:"10s" help:"Time to finish the batch under way when stopping."`
	// MaxBugs is how many records an assignment may set aside because applying them panicked; one more stops the
	// partition, because then the fault is in the program, not in the record. Default 10.
	MaxBugs int `name:"max-bugs" default:"10" help:"Records whose application may panic before the partition stops."`
	// CoreCacheBytes is about how much memory one partition's decoded entities take. Default 128 MiB.
	CoreCacheBytes int64 `name:"core-cache-bytes" default:"134217728" help:"Memory of one partition's decoded entities, in bytes."`
	// SessionTimeout is how long this member of the group may be silent before it loses its partitions, HeartbeatInterval
	// how often it speaks, and so how soon it learns of a rebalance. Defaults 20 s and 2 s.
	SessionTimeout    time.Duration `name:"session-timeout" default:"20s" help:"Silence after which partitions go to other members."`
	HeartbeatInterval time.Duration `name:"heartbeat-interval" default:"2s" help:"Time between two heartbeats to the group."`
}

// Default returns the defaults.
func Default() Config {
	return Config{
		Group:             "aftertouch.attributor",
		MaxRecords:        50_000,
		MaxBytes:          16 << 20,
		MaxRows:           200_000,
		MaxRowBytes:       64 << 20,
		MinInterval:       250 * time.Millisecond,
		PollWait:          500 * time.Millisecond,
		RetryFor:          time.Minute,
		DrainTimeout:      10 * time.Second,
		MaxBugs:           10,
		CoreCacheBytes:    attribution.Default().CacheBytes,
		SessionTimeout:    20 * time.Second,
		HeartbeatInterval: 2 * time.Second,
	}
}

// Validate reports every setting that cannot work.
func (c *Config) Validate() error {
	var errs []error
	need := func(ok bool, msg string) {
		if !ok {
			errs = append(errs, errors.New(msg))
		}
	}
	need(c.Group != "", "attributor: group is missing")
	need(c.MaxRecords >= 1 && c.MaxRecords <= 500_000, "attributor: max-records is not within 1 and 500000")
	need(c.MaxBytes >= 1<<10 && c.MaxBytes <= 128<<20, "attributor: max-bytes is not within 1 KiB and 128 MiB")
	need(c.MaxRows >= 1 && c.MaxRows <= 500_000, "attributor: max-rows is not within 1 and 500000")
	need(c.MaxRowBytes >= 1<<10 && c.MaxRowBytes <= 128<<20, "attributor: max-row-bytes is not within 1 KiB and 128 MiB")
	need(c.MinInterval >= 0 && c.MinInterval <= time.Minute, "attributor: min-interval is not within 0 and 1 min")
	need(c.PollWait >= time.Millisecond && c.PollWait <= 10*time.Second, "attributor: poll-wait is not within 1 ms and 10 s")
	need(c.RetryFor >= 0, "attributor: retry-for is negative")
	need(c.DrainTimeout > 0, "attributor: drain-timeout is not positive")
	need(c.MaxBugs >= 0, "attributor: max-bugs is negative")
	need(c.CoreCacheBytes >= 0, "attributor: core-cache-bytes is negative")
	need(c.HeartbeatInterval > 0 && c.SessionTimeout >= 2*c.HeartbeatInterval,
		"attributor: session-timeout is below two heartbeat-intervals")
	return errors.Join(errs...)
}
