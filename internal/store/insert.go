package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/aftertouch-io/aftertouch/internal/attribution"
)

// Batch is what applying the records [From, To) of one partition produced.
type Batch struct {
	Epoch     uint16
	Partition int32
	From, To  int64
	// Timestamp is that of the newest record, Unix ms.
	Timestamp int64
	Effects   *attribution.Effects
	// IdentityKey returns a workspace's identity key, which never changes.
	IdentityKey func(workspace string) []byte
}

// buffers hold the rows of one batch at a time.
type buffers struct {
	facts      *facts
	identities *identities
	refusals   *refusals
	journeys   *journeys
	dirty      *dirtyHours
	progress   *progress
}

func newBuffers() *buffers {
	return &buffers{newFacts(), newIdentities(), newRefusals(), newJourneys(), newDirtyHours(), newProgress()}
}

func (b *buffers) reset() {
	b.facts.reset()
	b.identities.reset()
	b.refusals.reset()
	b.journeys.reset()
	b.dirty.reset()
	b.progress.reset()
}

// Insert writes a batch: facts, identities, refusals, journeys, journey changes, then the marks of the hours they change, and
// progress last. So whoever sees a mark sees the rows, and whoever sees progress sees everything below it. It returns nil when
// all of it is acknowledged. A failed or unknown outcome is tried again for Config.RetryFor; after an error any part may
// have been written, and writing the batch again, or other batches of the same records, gives the same tables.
// The error wraps ErrPermanent when the engine refuses a row for good.
func (s *Store) Insert(ctx context.Context, b *Batch) error {
	buf := s.takeBuffers()
	defer s.giveBuffers(buf)
	w := &writer{store: s, buf: buf, id: identifier{key: b.IdentityKey}}
	if err := w.write(ctx, b); err != nil {
		return fmt.Errorf("inserting batch %d-%d [%d,%d): %w", b.Epoch, b.Partition, b.From, b.To, err)
	}
	return nil
}

// keptBuffers bounds the memory that buffers keep between batches.
const keptBuffers = 8

func (s *Store) takeBuffers() *buffers {
	select {
	case b := <-s.buffers:
		return b
	default:
		return newBuffers()
	}
}

func (s *Store) giveBuffers(b *buffers) {
	b.reset()
	select {
	case s.buffers <- b:
	default:
	}
}

// writer writes one batch.
type writer struct {
	store *Store
	buf   *buffers
	id    identifier
}

func (w *writer) write(ctx context.Context, b *Batch) error {
	e := b.Effects
	for i := range e.Facts {
		w.buf.facts.add(&e.Facts[i], &w.id)
		if err := w.flushFull(ctx, &w.buf.facts.table); err != nil {
			return err
		}
	}
	for i := range e.Identities {
		w.buf.identities.add(&e.Identities[i], &w.id)
	}
	for i := range e.Refusals {
		w.buf.refusals.add(&e.Refusals[i])
	}
	for _, t := range []*table{&w.buf.facts.table, &w.buf.identities.table, &w.buf.refusals.table} {
		if err := w.flush(ctx, t, t.name); err != nil {
			return err
		}
	}
	for i := range e.Journeys {
		w.buf.journeys.add(&e.Journeys[i], &w.id)
		if err := w.flushFull(ctx, &w.buf.journeys.table); err != nil {
			return err
		}
	}
	if err := w.flush(ctx, &w.buf.journeys.table, "journeys", "journey_changes"); err != nil {
		return err
	}
	w.buf.dirty.collect(b)
	if err := w.flush(ctx, &w.buf.dirty.table, "dirty_hours"); err != nil {
		return err
	}
	w.buf.progress.add(b)
	return w.flush(ctx, &w.buf.progress.table, "progress")
}

// flushFull writes a table's rows once they are as many as one insert may have.
func (w *writer) flushFull(ctx context.Context, t *table) error {
	if t.rows < w.store.cfg.MaxRows && t.bytes < w.store.cfg.MaxBytes {
		return nil
	}
	if t.name == "journeys" {
		return w.flush(ctx, t, "journeys", "journey_changes")
	}
	return w.flush(ctx, t, t.name)
}

// flush writes the buffered rows to each of the named tables and empties the buffer.
func (w *writer) flush(ctx context.Context, t *table, names ...string) error {
	if w.id.err != nil {
		return fmt.Errorf("%w: %w", ErrPermanent, w.id.err)
	}
	for _, name := range names {
		if err := w.store.insert(ctx, t, name); err != nil {
			return err
		}
	}
	t.reset()
	return nil
}

// Bounds of the pause between two tries.
const (
	firstPause = 50 * time.Millisecond
	maxPause   = 5 * time.Second
)

// insert writes one table's rows, trying again while it may help.
func (s *Store) insert(ctx context.Context, t *table, name string) error {
	giveUp := time.Now().Add(s.cfg.RetryFor)
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		err := s.insertOnce(ctx, t, name)
		switch {
		case err == nil:
			return nil
		case Permanent(err):
			s.metrics.errors.WithLabelValues(name, "permanent").Inc()
			if !errors.Is(err, ErrPermanent) {
				err = fmt.Errorf("%w: %w", ErrPermanent, err)
			}
			return err
		}
		s.metrics.errors.WithLabelValues(name, "retryable").Inc()
		if ctx.Err() != nil || time.Now().Add(pause).After(giveUp) {
			return err
		}
		s.log.LogAttrs(ctx, slog.LevelWarn, "inserting again", slog.String("table", name), slog.Any("error", err))
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause/2 + rand.N(pause/2)):
		}
	}
}

func (s *Store) insertOnce(ctx context.Context, t *table, name string) error {
	start := time.Now()
	if err := t.insert(ctx, s.conn, name, s.settings, s.native); err != nil {
		return err
	}
	if t.rows > 0 {
		s.metrics.duration.WithLabelValues(name).Observe(time.Since(start).Seconds())
		s.metrics.rows.WithLabelValues(name).Add(float64(t.rows))
	}
	return nil
}
