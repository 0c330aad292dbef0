package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/aftertouch-io/aftertouch/internal/event"
	"github.com/cockroachdb/pebble/v2"
)

// ErrMoved reports a commit whose first record is not the store's next one: it was applied to a state that is not this
// store's, and nothing of it was kept.
var ErrMoved = errors.New("state has moved")

// Store is the state of one partition's entities. Its methods belong to one goroutine, except Snapshot and Close's
// metrics, which may run beside it.
type Store struct {
	dir       *Dir
	db        *pebble.DB
	path      string
	epoch     uint16
	partition int32
	meta      Meta
	key       []byte
	// reader reads the states as of the last commit; nil until it is needed. held keeps the bytes of the last Event.
	reader *pebble.Iterator
	held   io.Closer
	sweep  sweep
	damage *damage
}

// ErrDamaged reports that a part of the store's content is damaged; the next Open fails with ErrNoStore.
var ErrDamaged = errors.New("state is damaged")

// Meta returns up to where the store has applied the log.
func (s *Store) Meta() Meta { return s.meta }

// Path returns the store's directory.
func (s *Store) Path() string { return s.path }

// State returns the entity's concatenated deltas, oldest first; nil when there are none. The bytes are valid until the
// next call.
func (s *Store) State(entity event.Address) ([]byte, error) {
	if err := s.release(); err != nil {
		return nil, err
	}
	value, err := s.read(entity)
	if err != nil {
		return nil, s.failed(fmt.Errorf("reading state: %w", err))
	}
	if value != nil && len(value) < headerSize {
		return nil, errShortValue
	}
	if value == nil {
		return nil, nil
	}
	return value[headerSize:], nil
}

// read uses an iterator, because the engine's Get does without the filters of the last level, where nearly everything is:
// it would read a block to learn that an entity is new.
func (s *Store) read(entity event.Address) ([]byte, error) {
	if s.reader == nil {
		var err error
		s.reader, err = s.db.NewIter(&pebble.IterOptions{
			LowerBound: []byte{prefixEntity}, UpperBound: []byte{prefixEntity + 1}, KeyTypes: pebble.IterKeyTypePointsOnly, UseL6Filters: true,
		})
		if err != nil {
			return nil, err
		}
	}
	s.key = appendEntityKey(s.key[:0], entity)
	// With the default comparer a key's prefix is the whole key.
	if !s.reader.SeekPrefixGE(s.key) {
		return nil, s.reader.Error()
	}
	return s.reader.ValueAndErr()
}

// Event returns the payload kept under the identity; nil when there is none. The bytes are valid until the next call of
// State, Event or Close.
func (s *Store) Event(entity event.Address, eventID string, logDay uint16) ([]byte, error) {
	if err := s.release(); err != nil {
		return nil, err
	}
	s.key = appendEventKey(s.key[:0], entity, eventID, logDay)
	value, closer, err := s.db.Get(s.key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, s.failed(fmt.Errorf("reading event: %w", err))
	}
	s.held = closer
	return value, nil
}

func (s *Store) release() error {
	if s.held == nil {
		return nil
	}
	err := s.held.Close()
	s.held = nil
	return err
}

// forget closes the reader, which does not see what is committed from now on and keeps old files in place.
func (s *Store) forget() error {
	if s.reader == nil {
		return nil
	}
	err := s.reader.Close()
	s.reader = nil
	return err
}

// Progress is how far a batch brings a store.
type Progress struct {
	// From is the offset of the first record that was applied, Next the one after the last. From < Next.
	From, Next int64
	// Last marks record Next-1.
	Last Mark
	// Clock is the partition clock after record Next-1, Unix ms.
	Clock int64
}

// Commit makes the batch and the progress durable together, or nothing of them. It fails with ErrMoved when p.From is
// not the store's next offset. After any other error the store must be closed: whether the batch is durable is known
// only when it is opened again. The batch can be used again.
func (s *Store) Commit(b *Batch, p Progress) error {
	if p.From != s.meta.Next || p.Next <= p.From {
		return fmt.Errorf("%w: next offset is %d, batch is [%d,%d)", ErrMoved, s.meta.Next, p.From, p.Next)
	}
	if s.damage.found.Load() {
		return ErrDamaged
	}
	meta := s.meta
	meta.Next, meta.Last, meta.Clock = p.Next, p.Last, p.Clock
	if s.sweep.day != 0 {
		meta.SweepDay, meta.SweepCursor = s.sweep.day, s.sweep.cursor
	}
	if err := s.expireEvents(b, &meta); err != nil {
		return fmt.Errorf("expiring events: %w", err)
	}
	if err := writeMeta(b.b, &meta); err != nil {
		return err
	}
	if err := b.b.Commit(pebble.Sync); err != nil {
		return s.failed(fmt.Errorf("committing state: %w", err))
	}
	b.b.Reset()
	s.meta = meta
	if err := s.forget(); err != nil {
		return s.failed(fmt.Errorf("committing state: %w", err))
	}
	return nil
}

// Close flushes nothing: what was committed is in the write-ahead log.
func (s *Store) Close() error {
	s.dir.closed(s)
	if err := errors.Join(s.release(), s.forget(), s.db.Close()); err != nil {
		return fmt.Errorf("closing state: %w", err)
	}
	return nil
}

// failed marks the store when its content is damaged.
func (s *Store) failed(err error) error {
	if pebble.IsCorruptionError(err) {
		s.damage.mark(s.dir.log, s.path, err)
	}
	return err
}

const dayMs = 24 * 60 * 60 * 1000

// logDay is the UTC day of a time in Unix ms; days outside 1970 to 2149 become the nearest.
func logDay(ms int64) uint16 { return uint16(min(max(ms/dayMs, 0), 1<<16-1)) }

func putDay(b []byte, day uint16) { binary.BigEndian.PutUint16(b, day) }
