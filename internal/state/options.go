package state

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/prometheus/client_golang/prometheus"
)

// formatVersion is the on-disk format. Raising it is one-way: an older binary cannot open the store any more.
const formatVersion = pebble.FormatValueSeparation

// options are tuned for many small appends by random key and point reads by key: filters on every level, because most
// reads ask for one key and new entities ask for a key that is nowhere; small blocks, because neighbours are strangers.
func (d *Dir) options(path string, partition int32, damage *damage) *pebble.Options {
	log := d.log.With("partition", partition)
	opts := &pebble.Options{
		Cache:                       d.cache,
		FileCache:                   d.files,
		FormatMajorVersion:          formatVersion,
		Merger:                      merger,
		MemTableSize:                d.cfg.MemTableBytes,
		MemTableStopWritesThreshold: 4,
		L0CompactionThreshold:       4,
		L0StopWritesThreshold:       32,
		LBaseMaxBytes:               128 << 20,
		MaxOpenFiles:                d.cfg.MaxOpenFiles,
		// Spread write-back, so that a commit's sync does not wait for a whole memory table.
		BytesPerSync:    1 << 20,
		WALBytesPerSync: 1 << 20,
		// Every partition may compact on its own; the cores are shared by all of them.
		CompactionConcurrencyRange: func() (int, int) { return 1, max(1, runtime.GOMAXPROCS(0)/2) },
		EventListener: &pebble.EventListener{
			BackgroundError: func(err error) {
				d.metrics.errors.Inc()
				log.Error("state engine reported an error", "error", err)
			},
			DataCorruption: func(info pebble.DataCorruptionInfo) { damage.mark(log, path, info.Details) },
			WriteStallBegin: func(info pebble.WriteStallBeginInfo) {
				d.metrics.stalls.Inc()
				log.Warn("state engine stalls writes", "reason", info.Reason)
			},
		},
		Logger: engineLogger{log},
	}
	// States are read for most records: decompressing them must be cheap. Payloads are hardly ever read.
	opts.Experimental.SpanPolicyFunc = pebble.MakeStaticSpanPolicyFunc(bytes.Compare,
		pebble.KeyRange{Start: []byte{prefixEntity}, End: []byte{prefixEntity + 1}},
		pebble.SpanPolicy{PreferFastCompression: true, ValueStoragePolicy: pebble.ValueStorageLowReadLatency})
	opts.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionBalanced })
	for i := range opts.Levels {
		opts.Levels[i].BlockSize = 4 << 10
		opts.Levels[i].IndexBlockSize = 64 << 10
		opts.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	return opts
}

// damage is set when any part of the engine finds the store's content damaged, in the background too.
type damage struct {
	found atomic.Bool
	count prometheus.Counter
}

// mark leaves a mark in the directory, so that the next Open falls back to a snapshot instead of meeting the same damage
// for ever.
func (d *damage) mark(log *slog.Logger, path string, cause error) {
	if d.found.Swap(true) {
		return
	}
	d.count.Inc()
	err := os.WriteFile(filepath.Join(path, damageMarker), []byte(cause.Error()+"\n"), 0o640)
	log.Error("state is damaged", "path", path, "error", errors.Join(cause, err))
}

// engineLogger passes the engine's errors on; its informational lines are of use to its developers only.
type engineLogger struct{ log *slog.Logger }

func (engineLogger) Infof(string, ...any) {}

func (l engineLogger) Errorf(format string, args ...any) {
	l.log.Error("state engine error", "error", fmt.Sprintf(format, args...))
}

func (l engineLogger) Fatalf(format string, args ...any) {
	// The engine calls this when going on would corrupt the store; it relies on not returning.
	panic("state engine: " + fmt.Sprintf(format, args...))
}
