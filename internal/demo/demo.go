package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

const (
	// completeWithin bounds the wait for the reports to show everything that was sent.
	completeWithin = time.Minute
	pollEvery      = 200 * time.Millisecond
)

// ErrIncomplete reports that the reports did not reach the truth in time.
var ErrIncomplete = errors.New("the reports are not complete")

// Run sends the plan's world to the target, waits until its reports are complete and prints them beside the truth.
// It fails with ErrIncomplete when a figure that must be exact is not.
func Run(ctx context.Context, target Target, plan Plan, out io.Writer) (err error) {
	c, err := newClient(target)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()

	people := NewWorld(plan)
	truth := Summarise(plan, people)
	if err := c.setUp(ctx, plan); err != nil {
		return err
	}
	began := time.Now()
	if err := c.drive(ctx, plan, people); err != nil {
		return fmt.Errorf("driving traffic: %w", err)
	}
	fmt.Fprintf(out, "%d people lived through it in %s; waiting for the reports.\n", len(people), time.Since(began).Round(time.Millisecond))
	began = time.Now()
	figures, err := c.await(ctx, plan, truth)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "Reports complete after %s.\n", time.Since(began).Round(time.Millisecond))
	return c.print(ctx, out, plan, people, truth, figures)
}

// await polls until every figure that the generator knows exactly is in the reports.
func (c *client) await(ctx context.Context, plan Plan, truth Summary) (*figures, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, completeWithin, ErrIncomplete)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	missing := ""
	for {
		f, err := c.figures(ctx)
		if err == nil {
			if missing = f.missing(plan, truth); missing == "" {
				return f, nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("%w: %s", context.Cause(ctx), missing), err)
		}
	}
}
