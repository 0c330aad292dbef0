package attributor

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/aftertouch-io/aftertouch/internal/attribution"
	"github.com/aftertouch-io/aftertouch/internal/event"
	"github.com/aftertouch-io/aftertouch/internal/eventlog"
)

// Reasons of dead letters.
const (
	reasonUndecodable      = "undecodable"
	reasonUnknownWorkspace = "unknown_workspace"
	reasonUnknownVersion   = "unknown_agreement_version"
	reasonBug              = "bug"
)

// letter is a record of the batch that goes to the dead letters.
type letter struct {
	index          int
	reason, detail string
}

// bugError reports a record whose application panicked.
type bugError struct{ cause any }

func (e *bugError) Error() string { return fmt.Sprint(e.cause) }

var errTooManyBugs = errors.New("too many records cannot be applied")

// apply is step 1: it applies records from index start on, until their effects fill a batch, and gathers what they change,
// uncommitted. It returns the index of the first record not applied; start when it has to be called again.
func (p *partition) apply(in *input, start int) (int, error) {
	defer p.metrics.observe(stageApply, time.Now())
	p.effects.Reset()
	p.letters = p.letters[:0]
	clock, size := p.clock, load{}
	i := start
	for ; i < len(in.recs) && !size.full(p.cfg); i++ {
		rec := &in.recs[i]
		if reason, detail := p.refusal(in, i); reason != "" {
			p.letters = append(p.letters, letter{i, reason, detail})
			continue
		}
		err := p.applyOne(rec)
		if bug := (*bugError)(nil); errors.As(err, &bug) {
			return start, p.setAside(rec, bug)
		}
		if err != nil {
			return start, fmt.Errorf("applying offset %d of partition %d: %w", rec.Position.Offset, p.id, err)
		}
		clock = follow(clock, rec.Timestamp)
		size.add(&p.effects)
	}
	if err := p.expire(clock); err != nil {
		return start, err
	}
	p.batch.Reset(clock)
	if err := p.core.Commit(p.batch); err != nil {
		return start, fmt.Errorf("gathering changes of partition %d: %w", p.id, err)
	}
	p.clock = clock
	return i, nil
}

// expire lets a few entities that no record comes to any more forget what the horizon has passed.
func (p *partition) expire(clock int64) error {
	entities, err := p.state.Expired(clock)
	for _, a := range entities {
		err = errors.Join(err, p.core.Expire(a))
	}
	if err != nil {
		return fmt.Errorf("expiring state of partition %d: %w", p.id, err)
	}
	return nil
}

// applyOne turns a panic into an error: the core panics only for states that cannot be, and one record must not stop the
// partition for ever.
func (p *partition) applyOne(rec *event.Record) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			p.log.Error("applying a record panicked", "offset", rec.Position.Offset, "cause", cause, "stack", string(debug.Stack()))
			err = &bugError{cause}
		}
	}()
	return p.core.Apply(rec, &p.effects)
}

// setAside remembers that a record cannot be applied and drops the core, which the record may have left half changed.
func (p *partition) setAside(rec *event.Record, bug *bugError) error {
	if p.bugs++; p.bugs > p.cfg.MaxBugs {
		return fmt.Errorf("%w: offset %d of partition %d: %w (%w)", errTooManyBugs, rec.Position.Offset, p.id, bug, eventlog.ErrStopPartition)
	}
	if p.aside == nil {
		p.aside = map[int64]string{}
	}
	p.aside[rec.Position.Offset] = bug.Error()
	return p.reload()
}

// refusal says why a record cannot be applied; empty when it can. Apart from undecodable records each reason is a bug
// somewhere: collectors stamp only what the registry holds.
func (p *partition) refusal(in *input, i int) (reason, detail string) {
	if err := in.errs[i]; err != nil {
		return reasonUndecodable, err.Error()
	}
	rec := &in.recs[i]
	if detail, ok := p.aside[rec.Position.Offset]; ok {
		return reasonBug, detail
	}
	if p.deps.Registry.IdentityKey(rec.To.Workspace) == nil {
		return reasonUnknownWorkspace, rec.To.Workspace
	}
	missing := ""
	eachVersion(rec, func(agreement string, version uint32) {
		if version == 0 {
			return // no agreement, or none in force
		}
		if _, ok := p.deps.Registry.Agreement(rec.To.Workspace, agreement, version); !ok {
			missing = fmt.Sprintf("%s version %d", agreement, version)
		}
	})
	if missing != "" {
		return reasonUnknownVersion, missing
	}
	return "", ""
}

// follow moves a partition clock (D8): it follows the highest timestamp seen, by at most 1 h a record.
func follow(clock, timestamp int64) int64 {
	switch {
	case clock == 0:
		return max(timestamp, 1)
	case timestamp > clock:
		return min(timestamp, clock+time.Hour.Milliseconds())
	default:
		return clock
	}
}

// load measures effects as they grow.
type load struct {
	facts, journeys, messages int
	rows, bytes               int
}

// About what the rows take, in bytes.
const (
	factBytes    = 600
	journeyBytes = 800
	touchBytes   = 150
)

func (l *load) add(e *attribution.Effects) {
	for i := l.journeys; i < len(e.Journeys); i++ {
		l.bytes += journeySize(&e.Journeys[i])
	}
	for i := l.messages; i < len(e.Messages); i++ {
		l.bytes += len(e.Messages[i].Value)
	}
	l.bytes += (len(e.Facts) - l.facts) * factBytes
	l.facts, l.journeys, l.messages = len(e.Facts), len(e.Journeys), len(e.Messages)
	l.rows = max(l.facts, l.journeys, len(e.Identities), len(e.Refusals))
}

// journeySize counts the row and its copy in the change log.
func journeySize(j *attribution.Journey) int {
	return 2 * (journeyBytes + len(j.Touches)*touchBytes)
}

func (l *load) full(c *Config) bool { return l.rows >= c.MaxRows || l.bytes >= c.MaxRowBytes }

// writeLetters keeps the records that could not be applied.
func (p *partition) writeLetters(ctx context.Context, in *input) error {
	for _, l := range p.letters {
		m := in.msgs[l.index]
		p.log.Error("record set aside", "offset", m.Offset, "reason", l.reason, "detail", l.detail)
		err := p.retry(ctx, stageDeadLetter, func() error { return p.deps.DeadLetters.Write(ctx, m, l.reason+": "+l.detail) })
		if err != nil {
			return err
		}
		p.metrics.rejected.WithLabelValues(l.reason).Inc()
	}
	return nil
}
