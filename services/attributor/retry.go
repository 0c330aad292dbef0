package attributor

import (
	"context"
	"fmt"
	"time"
)

const (
	firstPause = 50 * time.Millisecond
	maxPause   = 5 * time.Second
)

// retry paces the repetitions of a failing step.
type retry struct {
	budget time.Duration
	since  time.Time
	pause  time.Duration
}

func newRetry(budget time.Duration) *retry { return &retry{budget: budget} }

func (r *retry) reset() { r.since = time.Time{} }

// wait returns nil when the step shall be tried again, after a pause that doubles; the error when the budget is spent or
// ctx has ended.
func (r *retry) wait(ctx context.Context, err error) error {
	if r.since.IsZero() {
		r.since, r.pause = time.Now(), firstPause
	}
	if spent := time.Since(r.since); spent >= r.budget {
		return fmt.Errorf("failing for %s: %w", spent.Round(time.Second), err)
	}
	t := time.NewTimer(r.pause)
	defer t.Stop()
	r.pause = min(2*r.pause, maxPause)
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", err, ctx.Err())
	}
}
