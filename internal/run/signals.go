package run

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

// exitInterrupted is the exit status after a second signal.
const exitInterrupted = 130

// Signals returns a context that ends with the first SIGTERM or interrupt. A second one ends the process at once, as a crash
// would; nothing acknowledged is lost by that. Call the function to restore the signals' usual meaning.
func Signals(ctx context.Context, log *slog.Logger) (context.Context, context.CancelFunc) {
	return signals(ctx, log, os.Exit)
}

func signals(ctx context.Context, log *slog.Logger, exit func(int)) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	got := make(chan os.Signal, 2)
	signal.Notify(got, syscall.SIGTERM, os.Interrupt)
	finished := make(chan struct{})
	go func() {
		for range 2 {
			select {
			case s := <-got:
				if ctx.Err() != nil {
					log.Warn("second signal, exiting at once", "signal", s.String())
					exit(exitInterrupted)
					return
				}
				log.Info("signal received, draining", "signal", s.String())
				cancel()
			case <-finished:
				return
			}
		}
	}()
	return ctx, func() { signal.Stop(got); close(finished); cancel() }
}
