// Package spool keeps records on disk while the brokers are away, and hands them over in order when they are back (E4).
//
// The spool is a directory of segment files. A record counts as taken once its segment is fsynced. Segments are read whole,
// oldest first, and removed when all their records are delivered; a crash in between delivers some twice, which receivers of
// the log expect.
package spool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aftertouch-io/aftertouch/internal/eventlog"
)

// ErrFull means that the spool holds as much as it may; nothing of the call was taken.
var ErrFull = errors.New("spool is full")

// ErrClosed reports a spool that was closed.
var ErrClosed = errors.New("spool is closed")

// Config configures a Spool.
type Config struct {
	// Dir is the directory, made when absent. One process at a time may use it.
	Dir string
	// MaxBytes bounds the files together. Default 1 GiB.
	MaxBytes int64
	// SegmentBytes is the size at which a file is closed and the next one begun. Default 16 MiB.
	SegmentBytes int64
}

func (c Config) withDefaults() Config {
	if c.MaxBytes == 0 {
		c.MaxBytes = 1 << 30
	}
	if c.SegmentBytes == 0 {
		c.SegmentBytes = 16 << 20
	}
	return c
}

const suffix = ".spool"

// Spool is a queue of records on disk. It is safe for concurrent use; Drain is for one goroutine.
type Spool struct {
	cfg Config
	log *slog.Logger

	waiting atomic.Bool // records wait: whoever appends must queue behind them
	bytes   atomic.Int64

	mu     sync.Mutex
	sealed []segment // complete files, oldest first
	active *activeSegment
	next   uint64 // number of the next file
	closed bool
}

type segment struct {
	path  string
	bytes int64
	// begun is when its first record was taken; for files of an earlier process, when the file was written last.
	begun time.Time
}

// Open opens the directory and finds what an earlier process left.
func Open(cfg Config, log *slog.Logger) (*Spool, error) {
	cfg = cfg.withDefaults()
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("making spool directory: %w", err)
	}
	s := &Spool{cfg: cfg, log: log}
	entries, err := os.ReadDir(cfg.Dir) // sorted by name, so by number
	if err != nil {
		return nil, fmt.Errorf("reading spool directory: %w", err)
	}
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), suffix)
		number, err := strconv.ParseUint(name, 10, 64)
		if !ok || err != nil {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return nil, fmt.Errorf("reading spool directory: %w", err)
		}
		s.next = number + 1
		s.sealed = append(s.sealed, segment{path: filepath.Join(cfg.Dir, e.Name()), bytes: info.Size(), begun: info.ModTime()})
		s.bytes.Add(info.Size())
	}
	if n := len(s.sealed); n > 0 {
		if err := s.repair(&s.sealed[n-1]); err != nil {
			return nil, err
		}
		s.waiting.Store(true)
		log.Info("spool holds records of an earlier run", "bytes", s.bytes.Load(), "files", n)
	}
	return s, nil
}

// repair cuts off what a crash left half-written at the end of the newest file: it was never acknowledged.
func (s *Spool) repair(newest *segment) error {
	unread, err := readSegment(newest.path, func([]eventlog.Record) error { return nil })
	if err != nil || unread == 0 {
		return err
	}
	s.log.Info("spool file ends in an unfinished write", "file", newest.path, "unread_bytes", unread)
	newest.bytes -= unread
	s.bytes.Add(-unread)
	if err := os.Truncate(newest.path, newest.bytes); err != nil {
		return fmt.Errorf("repairing spool file: %w", err)
	}
	return nil
}

// Waiting reports whether records wait to be delivered. While they do, new ones belong behind them.
func (s *Spool) Waiting() bool { return s.waiting.Load() }

// Bytes returns the size of the files.
func (s *Spool) Bytes() int64 { return s.bytes.Load() }

// Age returns for how long the oldest record has waited at the given time; 0 when none does.
func (s *Spool) Age(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case len(s.sealed) > 0:
		return max(0, now.Sub(s.sealed[0].begun))
	case s.active != nil:
		return max(0, now.Sub(s.active.begun))
	default:
		return 0
	}
}

// Append takes the records, all or none of them, and returns when they are on disk. It fails with ErrFull and ErrClosed;
// after any other error the records may or may not be delivered.
func (s *Spool) Append(recs []eventlog.Record, now time.Time) error {
	if len(recs) == 0 {
		return nil
	}
	frame, err := encodeFrame(recs)
	if err != nil {
		return err
	}
	segment, end, err := s.write(frame, now)
	if err != nil {
		return err
	}
	return segment.sync(end)
}

// write writes a frame to the active segment and returns how far that must be synced.
func (s *Spool) write(frame []byte, now time.Time) (*activeSegment, int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, 0, ErrClosed
	}
	if s.bytes.Load()+int64(len(frame)) > s.cfg.MaxBytes {
		return nil, 0, ErrFull
	}
	if s.active != nil && s.active.size+int64(len(frame)) > s.cfg.SegmentBytes {
		if err := s.seal(); err != nil {
			return nil, 0, err
		}
	}
	if s.active == nil {
		active, err := createSegment(s.cfg.Dir, s.next, now)
		if err != nil {
			return nil, 0, err
		}
		s.active = active
		s.next++
	}
	before := s.active.size
	err := s.active.write(frame)
	s.bytes.Add(s.active.size - before)
	if err != nil {
		return nil, 0, err
	}
	s.waiting.Store(true)
	return s.active, s.active.size, nil
}

// seal closes the active segment; the lock is held. Whoever still waits for its sync finds it synced.
func (s *Spool) seal() error {
	a := s.active
	err := a.close()
	// A file that failed is delivered as far as it can be read; the next append begins another one.
	s.sealed = append(s.sealed, segment{path: a.file.Name(), bytes: a.size, begun: a.begun})
	s.active = nil
	return err
}

// Drain hands over what waits, in order and in calls of at most about 1 MiB, until nothing waits; then Waiting is false. When
// deliver fails it stops, with that error, and begins with the same file next time.
func (s *Spool) Drain(ctx context.Context, deliver func(ctx context.Context, recs []eventlog.Record) error) error {
	for {
		oldest, ok, err := s.oldest()
		if err != nil || !ok {
			return err
		}
		unread, err := readSegment(oldest.path, func(recs []eventlog.Record) error { return deliver(ctx, recs) })
		if err != nil {
			return fmt.Errorf("delivering spooled records: %w", err)
		}
		if err := s.remove(oldest, unread); err != nil {
			return err
		}
	}
}

// oldest returns the file to deliver next, sealing the active one when it is the only one. Without any, nothing waits.
func (s *Spool) oldest() (segment, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.sealed) == 0 && s.active != nil {
		if err := s.seal(); err != nil {
			return segment{}, false, err
		}
	}
	if len(s.sealed) == 0 {
		// Under the lock, so that no append can come between: it would wait unseen.
		s.waiting.Store(false)
		return segment{}, false, nil
	}
	return s.sealed[0], true, nil
}

// remove takes a delivered file away. One that could not be read to its end is kept under another name for the operator.
func (s *Spool) remove(delivered segment, unread int64) error {
	if unread > 0 {
		s.log.Error("spool file is damaged, records are lost", "file", delivered.path, "unread_bytes", unread)
		if err := os.Rename(delivered.path, delivered.path+".damaged"); err != nil {
			return fmt.Errorf("setting damaged spool file aside: %w", err)
		}
	} else if err := os.Remove(delivered.path); err != nil {
		return fmt.Errorf("removing delivered spool file: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sealed = slices.Delete(s.sealed, 0, 1)
	s.bytes.Add(-delivered.bytes)
	return nil
}

// Close closes the files. What waits stays for the next Open.
func (s *Spool) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.active == nil {
		return nil
	}
	return s.seal()
}
