package attributor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aftertouch-io/aftertouch/internal/eventlog"
	"github.com/aftertouch-io/aftertouch/internal/state"
)

// ErrLogWentBackwards reports that the log is not the one that the state or the group's offset was made from. Nothing is
// started then: rows of the old log would win over those of the new one.
var ErrLogWentBackwards = errors.New("log_went_backwards")

const backwardsRemedy = "remedy: bring back the log that was there before (its brokers' data directory or a copy of it); " +
	"when it is lost, begin a new epoch, which has state and offsets of its own and whose rows win over the old ones"

// situation is what a restart finds.
type situation struct {
	// start and end are the log's: it holds [start, end). committed is the group's offset, -1 when there is none.
	start, end, committed int64
	epochID               string
}

// usable says whether state with these metadata can go on with the log: it needs every record from its next one on.
func (s *situation) usable(m *state.Meta) error {
	switch {
	case m.EpochID != s.epochID:
		return fmt.Errorf("%w: state is of epoch id %q, the log of %q; %s", ErrLogWentBackwards, m.EpochID, s.epochID, backwardsRemedy)
	case m.Next > s.end:
		return fmt.Errorf("%w: state has applied everything before offset %d, the log ends at %d; %s",
			ErrLogWentBackwards, m.Next, s.end, backwardsRemedy)
	case m.Next < s.start:
		return fmt.Errorf("%w: state needs the log from offset %d on, which begins at %d", errBehindLog, m.Next, s.start)
	default:
		return nil
	}
}

// errBehindLog reports state that the log's retention has overtaken.
var errBehindLog = errors.New("state is behind the log")

func (s *situation) committedUsable() error {
	if s.committed > s.end {
		return fmt.Errorf("%w: the group has committed offset %d, the log ends at %d; %s",
			ErrLogWentBackwards, s.committed, s.end, backwardsRemedy)
	}
	return nil
}

// restore returns the partition's state, ready to apply record Meta().Next: that of its store, else of the newest
// verified snapshot, else an empty one that begins where the log begins.
func (p *partition) restore(ctx context.Context) (State, error) {
	st, err := p.openStore(ctx)
	if err != nil && !errors.Is(err, state.ErrNoStore) {
		return nil, err
	}
	missing := err
	s := situation{committed: p.src.CommittedOffset(), epochID: p.epoch.ID}
	if s.start, s.end, err = p.src.Range(ctx); err != nil {
		return nil, errors.Join(err, closeState(st))
	}
	if err := s.committedUsable(); err != nil {
		return nil, errors.Join(p.describe(err, st), closeState(st))
	}
	p.status.end(s.end)
	if st != nil {
		missing = p.check(ctx, &s, st.Meta())
		switch {
		case missing == nil:
			p.restored("store", st, &s)
			return st, nil
		case !errors.Is(missing, errBehindLog):
			return nil, errors.Join(p.describe(missing, st), closeState(st))
		}
		if err := st.Close(); err != nil {
			return nil, err
		}
	}
	p.log.Info("no state to go on with, looking for a snapshot", "reason", missing)
	st, err = p.stores.Restore(ctx, p.epoch.Number, p.id, func(m state.Meta) error { return p.check(ctx, &s, m) })
	if errors.Is(err, state.ErrNoSnapshot) {
		return p.rebuild(&s, err)
	}
	if err != nil {
		return nil, err
	}
	p.restored("snapshot", st, &s)
	return st, nil
}

// rebuild begins with an empty store.
func (p *partition) rebuild(s *situation, reason error) (State, error) {
	if s.start > 0 {
		p.log.Error("rebuilding state from a log whose beginning is gone: journeys made from now on miss what came before",
			"start", s.start, "reason", reason)
	}
	st, err := p.stores.Create(p.epoch.Number, p.id, state.Meta{EpochID: p.epoch.ID, Next: s.start})
	if err != nil {
		return nil, err
	}
	p.restored("log", st, s)
	return st, nil
}

func (p *partition) restored(from string, st State, s *situation) {
	m := st.Meta()
	p.metrics.restores.WithLabelValues(from).Inc()
	p.log.Info("state restored", "from", from, "next", m.Next, "committed", s.committed, "start", s.start, "end", s.end)
}

func (p *partition) describe(err error, st State) error {
	path := "none"
	if st != nil {
		path = st.Path()
	}
	return fmt.Errorf("restoring partition %d (state: %s): %w", p.id, path, err)
}

// check says whether state can go on with the log, and whether the log still holds the record that the state saw last.
func (p *partition) check(ctx context.Context, s *situation, m state.Meta) error {
	if err := s.usable(&m); err != nil {
		return err
	}
	if m.Last == (state.Mark{}) || m.Next <= s.start {
		return nil // it has seen no record, or the log no longer holds it
	}
	last := m.Next - 1
	for ctx.Err() == nil {
		msgs, err := p.src.Read(ctx, last, eventlog.ReadLimits{MaxBytes: 1 << 10, MaxWait: p.cfg.PollWait})
		if err != nil {
			return err
		}
		if len(msgs) == 0 {
			continue
		}
		r := &msgs[0]
		if got := state.MarkOf(r.Time.UnixMilli(), r.Key, r.Value); r.Offset != last || got != m.Last {
			return fmt.Errorf("%w: record %d is not the one that the state was made from; %s", ErrLogWentBackwards, last, backwardsRemedy)
		}
		return nil
	}
	return ctx.Err()
}

// openStore waits a little for a store that another process, or the assignment before, has not let go of yet.
func (p *partition) openStore(ctx context.Context) (State, error) {
	for wait := 50 * time.Millisecond; ; wait *= 2 {
		st, err := p.stores.Open(p.epoch.Number, p.id)
		if err == nil || errors.Is(err, state.ErrNoStore) || wait > 5*time.Second {
			return st, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(wait):
		}
	}
}

func closeState(st State) error {
	if st == nil {
		return nil
	}
	return st.Close()
}
