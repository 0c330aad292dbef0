package collector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/aftertouch-io/aftertouch/internal/eventlog"
	"github.com/aftertouch-io/aftertouch/services/collector/spool"
)

// errUnavailable means that records were not taken: neither brokers nor spool could.
var errUnavailable = errors.New("neither the brokers nor the spool took the events")

// sink makes records durable: in the log, or in the spool while the brokers are away.
type sink struct {
	appender Appender
	spool    *spool.Spool // nil for none
	timeout  time.Duration
	retry    time.Duration
	metrics  *metrics
	log      *slog.Logger
	clock    func() time.Time
	late     time.Duration // after which a group's members stop waiting

	mu     sync.Mutex
	open   *group // takes further records; nil while nobody waits
	flying int    // goroutines that append groups
}

func newSink(a Appender, store *spool.Spool, cfg Config, m *metrics, log *slog.Logger, clock func() time.Time) *sink {
	return &sink{appender: a, spool: store, timeout: cfg.AppendTimeout, retry: cfg.SpoolRetry, metrics: m, log: log, clock: clock, late: cfg.PixelWait}
}

// maxFlying is how many groups are appended at a time. While all are under way the next one grows, so that under load single
// events travel together, and without load none waits.
const maxFlying = 4

// group is records of requests that bring one event each.
type group struct {
	recs []eventlog.Record
	done chan struct{} // closed when err is known
	late chan struct{} // closed when it took too long to wait any more
	err  error
}

// join appends a record together with those of other callers. Its bytes are used until done is closed.
func (s *sink) join(rec eventlog.Record) *group {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = &group{done: make(chan struct{}), late: make(chan struct{})}
		// Who is flying takes the open group next; so one more is needed only when all others may be done.
		if s.flying < maxFlying {
			s.flying++
			go s.fly()
		}
	}
	s.open.recs = append(s.open.recs, rec)
	return s.open
}

// fly appends groups until none is open.
func (s *sink) fly() {
	for {
		s.mu.Lock()
		g := s.open
		s.open = nil
		if g == nil {
			s.flying--
		}
		s.mu.Unlock()
		if g == nil {
			return
		}
		timer := time.AfterFunc(s.late, func() { close(g.late) })
		g.err = s.append(context.Background(), g.recs) // it belongs to many requests, and has a timeout of its own
		timer.Stop()
		close(g.done)
	}
}

// append returns when the records are durable, whoever asked for them and however soon they went away. It fails with
// errUnavailable; some of the records may then be durable all the same. It does not use their bytes afterwards.
func (s *sink) append(ctx context.Context, recs []eventlog.Record) error {
	if len(recs) == 0 {
		return nil
	}
	// What waits in the spool goes first.
	if s.spool == nil || !s.spool.Waiting() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.timeout)
		defer cancel()
		err := s.appender.Append(ctx, recs)
		if err == nil {
			return nil
		}
		s.log.Debug("appending to the event log failed", "records", len(recs), "error", err)
		if s.spool == nil || errors.Is(err, eventlog.ErrRecordTooLarge) {
			return fmt.Errorf("%w: %w", errUnavailable, err)
		}
	}
	if err := s.spool.Append(recs, s.clock()); err != nil {
		return fmt.Errorf("%w: %w", errUnavailable, err)
	}
	s.metrics.spooled.Add(float64(len(recs)))
	return nil
}

// run delivers the spool whenever something waits in it.
func (s *sink) run(ctx context.Context) error {
	if s.spool == nil {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(s.retry)
	defer tick.Stop()
	waiting := false
	for {
		if s.spool.Waiting() {
			if !waiting {
				s.log.Warn("events wait in the spool until the brokers answer")
			}
			err := s.spool.Drain(ctx, s.deliver)
			if waiting = err != nil; waiting {
				s.log.Debug("delivering the spool failed, trying again", "bytes", s.spool.Bytes(), "error", err)
			} else {
				s.log.Info("spool is delivered")
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (s *sink) deliver(ctx context.Context, recs []eventlog.Record) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	if err := s.appender.Append(ctx, recs); err != nil {
		return err
	}
	s.metrics.delivered.Add(float64(len(recs)))
	return nil
}

func (s *sink) close() error {
	if s.spool == nil {
		return nil
	}
	return s.spool.Close()
}
