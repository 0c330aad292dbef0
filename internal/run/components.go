package run

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// ErrBudget means that a component had not stopped when the time to stop was over; what it held is recovered at the next
// start as after a crash.
var ErrBudget = errors.New("time to stop is over")

// Process runs components: parts that run until they are told to stop. Each may use those started before it.
type Process struct {
	config    Config
	log       *slog.Logger
	readiness *Readiness
	ctx       context.Context //nolint:containedctx // it is the process's own life, not a call's
	end       context.CancelCauseFunc
	started   []*component
	stopOnce  sync.Once
	stopErr   error
}

type component struct {
	name string
	stop context.CancelFunc
	done chan struct{}
	err  error // valid once done is closed
}

// NewProcess returns a process that lives until ctx ends, and reports through readiness.
func NewProcess(ctx context.Context, c Config, log *slog.Logger, readiness *Readiness) *Process {
	p := &Process{config: c, log: log, readiness: readiness}
	p.ctx, p.end = context.WithCancelCause(ctx)
	return p
}

// Context ends when the process is told to stop or one of its components ends.
func (p *Process) Context() context.Context { return p.ctx }

// Start begins a component. run must block until its context ends and the component's work is drained; its end before that
// ends the process. Start is not safe for concurrent use.
func (p *Process) Start(name string, run func(ctx context.Context) error) {
	// A component outlives the process's context: it is stopped in its turn, not when the signal comes.
	own, stop := context.WithCancel(context.WithoutCancel(p.ctx))
	c := &component{name: name, stop: stop, done: make(chan struct{})}
	p.started = append(p.started, c)
	go func() {
		defer close(c.done)
		c.err = run(own)
		if own.Err() == nil {
			p.end(fmt.Errorf("running %s: %w", name, endedEarly(c.err)))
		}
	}()
}

func endedEarly(err error) error {
	if err == nil {
		return errors.New("it ended before it was told to")
	}
	return err
}

// Wait blocks until the process's context ends, then stops everything. It returns the failure that ended the process, if any,
// and those of stopping.
func (p *Process) Wait() error {
	<-p.ctx.Done()
	return p.Stop(nil)
}

// Stop makes the process unready, waits for the configured delay, and stops the components one after another, the last first, so
// that nothing loses what it depends on while it drains. cause is why the process stops; it is returned together with
// a component's own failure and those of stopping, unless it is only the end of the process's context. [ErrBudget] is among
// them when the configured time was not enough.
func (p *Process) Stop(cause error) error {
	failed := context.Cause(p.ctx)
	if errors.Is(failed, context.Canceled) {
		failed = nil // told to stop
	}
	if p.ctx.Err() != nil && errors.Is(cause, context.Canceled) {
		cause = nil
	}
	p.stopOnce.Do(func() {
		cause = errors.Join(failed, cause)
		p.log.Info("stopping", "failed", cause != nil, "budget", p.config.DrainTimeout)
		p.readiness.Drain()
		if cause == nil {
			time.Sleep(p.config.DrainDelay)
		}
		p.stopErr = errors.Join(cause, p.stop())
		p.end(nil)
	})
	return p.stopErr
}

// stop ends the components in reverse order and returns the errors of those that fail while doing so.
func (p *Process) stop() error {
	deadline := time.NewTimer(p.config.DrainTimeout - p.config.DrainDelay)
	defer deadline.Stop()
	var errs []error
	for i := len(p.started) - 1; i >= 0; i-- {
		c := p.started[i]
		select {
		case <-c.done: // its failure is the cause of this stop
			c.stop()
			continue
		default:
		}
		began := time.Now()
		c.stop()
		select {
		case <-c.done:
		case <-deadline.C:
			for _, rest := range p.started[:i] {
				rest.stop()
			}
			return errors.Join(append(errs, fmt.Errorf("stopping %s: %w", c.name, ErrBudget))...)
		}
		p.log.Info("component stopped", "component", c.name, "took", time.Since(began).Round(time.Millisecond))
		if c.err != nil && !errors.Is(c.err, context.Canceled) {
			errs = append(errs, fmt.Errorf("stopping %s: %w", c.name, c.err))
		}
	}
	return errors.Join(errs...)
}
