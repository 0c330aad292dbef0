package state

import (
	"errors"
	"path/filepath"
	"time"
)

// Config says where state is kept and how much memory it may take. Fields are embedded in the flags of the commands.
type Config struct {
	// Dir is the directory that holds the stores, as <Dir>/<epoch>/<partition>. No default.
	Dir string `name:"dir" help:"Directory of the entity state."`
	// SnapshotDir holds the snapshots, as <SnapshotDir>/<epoch>/<partition>/<next offset>. On the file system of Dir
	// snapshots share files with the store; on another one, or on one that several machines mount, they are copies and
	// outlive the loss of Dir. Default: <Dir>-snapshots.
	SnapshotDir string `name:"snapshot-dir" help:"Directory of the snapshots (default: beside the state)."`
	// CacheBytes is the size of the block cache that all partitions share; it grows as it is
	// used. A touch takes about 60 bytes of it. Default 512 MiB.
	CacheBytes int64 `name:"cache-bytes" default:"536870912" help:"Size of the shared block cache, in bytes."`
	// MemTableBytes is the size of one in-memory table; a partition has at most four. Default 32 MiB.
	MemTableBytes uint64 `name:"mem-table-bytes" default:"33554432" help:"Size of one partition's in-memory table, in bytes."`
	// MaxOpenFiles bounds the open table files of all partitions together. Default 4096.
	MaxOpenFiles int `name:"max-open-files" default:"4096" help:"Open table files of all partitions."`
	// SnapshotInterval is the time between two snapshots of a partition; 0 takes none. Default 24 h.
	SnapshotInterval time.Duration `name:"snapshot-interval" default:"24h" help:"Time between two snapshots; 0 takes none."`
	// SnapshotKeep is how many verified snapshots of a partition are kept. Default 2.
	SnapshotKeep int `name:"snapshot-keep" default:"2" help:"Verified snapshots kept of each partition."`
	// Horizon is the age, by the partition clock, from which state can take no part in anything any more (A16). State
	// is removed some days later. The core relies on 210 d, so this is no setting; tests shorten it.
	Horizon time.Duration `kong:"-"`
	// SweepKeys is how many entities a batch looks at while an expiry sweep is under way. Default 2000.
	SweepKeys int `name:"sweep-keys" default:"2000" help:"Entities that one batch of an expiry sweep looks at."`
}

// Default returns the defaults, without a directory.
func Default() Config {
	return Config{
		CacheBytes:       512 << 20,
		MemTableBytes:    32 << 20,
		MaxOpenFiles:     4096,
		SnapshotInterval: 24 * time.Hour,
		SnapshotKeep:     2,
		Horizon:          210 * 24 * time.Hour,
		SweepKeys:        2000,
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
	need(c.Dir != "", "state: dir is missing")
	need(c.CacheBytes >= 1<<20, "state: cache-bytes is below 1 MiB")
	need(c.MemTableBytes >= 1<<20 && c.MemTableBytes <= 1<<30, "state: mem-table-bytes is not within 1 MiB and 1 GiB")
	need(c.MaxOpenFiles >= 64, "state: max-open-files is below 64")
	need(c.SnapshotInterval >= 0, "state: snapshot-interval is negative")
	need(c.SnapshotKeep >= 1, "state: snapshot-keep is below 1")
	need(c.Horizon >= 24*time.Hour, "state: horizon is below one day")
	need(c.SweepKeys >= 1, "state: sweep-keys is below 1")
	return errors.Join(errs...)
}

func (c *Config) snapshotDir() string {
	if c.SnapshotDir != "" {
		return c.SnapshotDir
	}
	return filepath.Clean(c.Dir) + "-snapshots"
}
