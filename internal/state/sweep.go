package state

import (
	"encoding/binary"
	"errors"

	"github.com/cockroachdb/pebble/v2"
)

// sweepEvery is the number of days, by the partition clock, between two sweeps of the entities: a sweep reads all of
// them.
const sweepEvery = 7

// expire removes what the partition clock has left behind by a horizon. Payloads go by the day, one range at a time.
// Entities are looked at by and by, a bounded number with each commit, so that no commit waits for a sweep and a crash
// costs only the commit's share.
func (s *Store) expire(b *Batch, meta *Meta) error {
	s.swept = 0
	cutoff := logDay(meta.Clock - s.dir.cfg.Horizon.Milliseconds())
	if cutoff > meta.EventDay {
		if err := b.b.DeleteRange(eventDayKey(0), eventDayKey(cutoff), nil); err != nil {
			return err
		}
		meta.EventDay = cutoff
	}
	switch {
	case meta.SweepDay == 0:
		// A new store holds nothing to sweep.
		meta.SweepDay = cutoff
	case len(meta.SweepCursor) == 0 && cutoff >= meta.SweepDay+sweepEvery:
		meta.SweepDay, meta.SweepCursor = cutoff, []byte{prefixEntity}
	}
	if len(meta.SweepCursor) == 0 {
		return nil
	}
	return s.sweepSome(meta)
}

// sweepSome deletes the expired entities among the next SweepKeys ones, in a batch before the commit's own: a delta that
// the commit adds to one of them must outlive the deletion. A crash between the two repeats the deletion.
func (s *Store) sweepSome(meta *Meta) (err error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: meta.SweepCursor, UpperBound: []byte{prefixEntity + 1}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	b := s.db.NewBatch()
	defer func() { err = errors.Join(err, b.Close()) }()
	valid := it.First()
	for n := 0; valid && n < s.dir.cfg.SweepKeys; n++ {
		value, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		if len(value) < headerSize {
			return errShortValue
		}
		if binary.BigEndian.Uint16(value) < meta.SweepDay {
			if err := b.Delete(it.Key(), nil); err != nil {
				return err
			}
			s.swept++
		}
		valid = it.Next()
	}
	meta.SweepCursor = nil
	if valid {
		meta.SweepCursor = append([]byte(nil), it.Key()...)
	}
	if b.Empty() {
		return nil
	}
	s.dir.metrics.swept.Add(float64(s.swept))
	return b.Commit(pebble.NoSync)
}

// Swept returns how many entities the last Commit removed.
func (s *Store) Swept() int { return s.swept }
