package state

import (
	"encoding/binary"
	"errors"

	"github.com/aftertouch-io/aftertouch/internal/event"
	"github.com/cockroachdb/pebble/v2"
)

const (
	// sweepEvery is the number of days, by the partition clock, between two sweeps of the entities: a sweep reads all of
	// them.
	sweepEvery = 7
	// spareDays are added to the horizon: days are counted whole, and what the core may still ask for must be there.
	spareDays = 3
)

// expiryDay is the first log day that the partition clock has not left behind by the horizon.
func (s *Store) expiryDay(clock int64) uint16 {
	return logDay(clock - s.dir.cfg.Horizon.Milliseconds() - spareDays*dayMs)
}

// Expired returns entities that have not changed for longer than the horizon, by a partition clock in Unix ms; what they
// keep is for the core to say, because some of it may never expire. It looks at a bounded number of entities with each
// call, going on where the call before the last Commit ended, so that no commit waits for a sweep; mostly it returns none.
func (s *Store) Expired(clock int64) ([]event.Address, error) {
	cutoff := s.expiryDay(clock)
	s.sweep = sweep{day: s.meta.SweepDay, cursor: s.meta.SweepCursor}
	switch {
	case s.sweep.day == 0:
		// A new store holds nothing to sweep.
		s.sweep.day = cutoff
	case len(s.sweep.cursor) == 0 && cutoff >= s.sweep.day+sweepEvery:
		s.sweep = sweep{day: cutoff, cursor: []byte{prefixEntity}}
	}
	if len(s.sweep.cursor) == 0 {
		return nil, nil
	}
	return s.sweepSome()
}

// sweep is how far a sweep of the entities is.
type sweep struct {
	day    uint16
	cursor []byte
}

func (s *Store) sweepSome() (found []event.Address, err error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: s.sweep.cursor, UpperBound: []byte{prefixEntity + 1}})
	if err != nil {
		return nil, s.failed(err)
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	valid := it.First()
	for n := 0; valid && n < s.dir.cfg.SweepKeys; n++ {
		value, err := it.ValueAndErr()
		if err != nil {
			return nil, s.failed(err)
		}
		if len(value) < headerSize {
			return nil, errShortValue
		}
		if binary.BigEndian.Uint16(value) < s.sweep.day {
			entity, err := event.ParseKey(string(it.Key()[1:]))
			if err != nil {
				return nil, err
			}
			found = append(found, entity)
		}
		valid = it.Next()
	}
	s.sweep.cursor = nil
	if valid {
		s.sweep.cursor = append([]byte(nil), it.Key()...)
	}
	s.dir.metrics.swept.Add(float64(len(found)))
	return found, nil
}

// expireEvents removes the payloads of the days that the partition clock has left behind, one range of keys.
func (s *Store) expireEvents(b *Batch, meta *Meta) error {
	cutoff := s.expiryDay(meta.Clock)
	if cutoff <= meta.EventDay {
		return nil
	}
	meta.EventDay = cutoff
	return b.b.DeleteRange(eventDayKey(0), eventDayKey(cutoff), nil)
}
