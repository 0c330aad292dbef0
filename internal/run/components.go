package run

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Component is one part of a process that runs until it is told to stop.
type Component struct {
	// Name appears in errors and logs.
	Name string
	// Run blocks until ctx ends and the component's work is drained. Its end before that stops the process.
	Run func(ctx context.Context) error
}

// ErrBudget means that a component had not stopped when the time to stop was over; what it held is recovered at the next
// start as after a crash.
var ErrBudget = errors.New("time to stop is over")

// Process runs components.
type Process struct {
	config    Config
	log       *slog.Logger
	readiness *Readiness
}

// NewProcess returns a process that reports through readiness.
func NewProcess(c Config, log *slog.Logger, readiness *Readiness) *Process {
	return &Process{config: c, log: log, readiness: readiness}
}

type running struct {
	name string
	stop context.CancelFunc
	done chan struct{}
	err  error // valid once done is closed
}

// Run starts the components, each of which may use those before it, and blocks until ctx ends or one of them does. Then it
// stops them one after another, the last first, so that nothing loses what it depends on while it drains. It returns the first
// failure, and [ErrBudget] when the configured time was not enough.
func (p *Process) Run(ctx context.Context, components ...Component) error {
	ended := make(chan *running, len(components))
	started := make([]*running, 0, len(components))
	for _, c := range components {
		// A component outlives ctx: it is stopped in its turn, not when the signal comes.
		own, stop := context.WithCancel(context.WithoutCancel(ctx))
		r := &running{name: c.Name, stop: stop, done: make(chan struct{})}
		started = append(started, r)
		go func() {
			defer func() { close(r.done); ended <- r }()
			r.err = c.Run(own)
		}()
	}
	var cause error
	select {
	case <-ctx.Done():
		p.log.Info("stopping", "budget", p.config.DrainTimeout)
		p.readiness.Drain()
		time.Sleep(p.config.DrainDelay)
	case r := <-ended:
		cause = fmt.Errorf("running %s: %w", r.name, endedEarly(r.err))
		p.log.Error("component ended", "component", r.name, "error", cause)
		p.readiness.Drain()
	}
	return errors.Join(cause, p.stop(started))
}

func endedEarly(err error) error {
	if err == nil {
		return errors.New("it ended before it was told to")
	}
	return err
}

// stop ends the components in reverse order and returns the errors of those that fail while doing so.
func (p *Process) stop(started []*running) error {
	deadline := time.NewTimer(p.config.DrainTimeout - p.config.DrainDelay)
	defer deadline.Stop()
	var errs []error
	for i := len(started) - 1; i >= 0; i-- {
		r := started[i]
		select {
		case <-r.done: // its failure is the cause of this stop
			continue
		default:
		}
		began := time.Now()
		r.stop()
		select {
		case <-r.done:
		case <-deadline.C:
			for _, rest := range started[:i] {
				rest.stop()
			}
			return errors.Join(append(errs, fmt.Errorf("stopping %s: %w", r.name, ErrBudget))...)
		}
		p.log.Info("component stopped", "component", r.name, "took", time.Since(began).Round(time.Millisecond))
		if r.err != nil && !errors.Is(r.err, context.Canceled) {
			errs = append(errs, fmt.Errorf("stopping %s: %w", r.name, r.err))
		}
	}
	return errors.Join(errs...)
}
