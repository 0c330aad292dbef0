package run

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const (
	// exitInterrupted is the exit status after a second signal.
	exitInterrupted = 130
	// echo is how long after the first signal others are taken for copies of it: shells and process supervisors signal a process
	// and its group.
	echo = 500 * time.Millisecond
)

// Signals returns a context that ends with the first SIGTERM or interrupt. A second one ends the process at once, as a crash
// would, unless it follows within half a second; nothing acknowledged is lost by that. Call the function to restore the signals' usual meaning.
func Signals(ctx context.Context, log *slog.Logger) (context.Context, context.CancelFunc) {
	return signals(ctx, log, os.Exit)
}

func signals(ctx context.Context, log *slog.Logger, exit func(int)) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	got := make(chan os.Signal, 2)
	signal.Notify(got, syscall.SIGTERM, os.Interrupt)
	finished := make(chan struct{})
	go func() {
		var first time.Time
		for {
			select {
			case s := <-got:
				switch {
				case first.IsZero():
					first = time.Now()
					log.Info("signal received, draining", "signal", s.String())
					cancel()
				case time.Since(first) >= echo:
					log.Warn("second signal, exiting at once", "signal", s.String())
					exit(exitInterrupted)
					return
				}
			case <-finished:
				return
			}
		}
	}()
	return ctx, func() { signal.Stop(got); close(finished); cancel() }
}
