package run

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func testProcess(ctx context.Context, c Config) (*Process, *Readiness) {
	readiness := &Readiness{}
	return NewProcess(ctx, c, slog.New(slog.DiscardHandler), readiness), readiness
}

type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) add(line string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, line)
}

// waiting returns a component that records when it is stopped.
func (j *journal) waiting(name string, after error) func(context.Context) error {
	return func(ctx context.Context) error {
		<-ctx.Done()
		j.add(name)
		return after
	}
}

func TestProcessStopsComponentsLastFirstAndOnlyAfterReadinessIsGone(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	process, readiness := testProcess(ctx, Default())
	var j journal
	readiness.OnDrain(func() { j.add("unready") })
	process.Start("log", j.waiting("log", nil))
	process.Start("collector", j.waiting("collector", context.Canceled))
	process.Start("servers", j.waiting("servers", nil))
	time.AfterFunc(20*time.Millisecond, cancel)
	if err := process.Wait(); err != nil {
		t.Fatalf("Wait: %v", err)
	}
	if want := []string{"unready", "servers", "collector", "log"}; !slices.Equal(j.lines, want) {
		t.Errorf("order of stopping is %v, want %v", j.lines, want)
	}
	if state := readiness.State(); state["process"] != "draining" {
		t.Errorf("state after draining is %v", state)
	}
}

func TestProcessStopsEverythingWhenOneComponentEnds(t *testing.T) {
	for _, tc := range []struct {
		name string
		err  error
		want string
	}{
		{"error", errors.New("disk on fire"), "running attributor: disk on fire"},
		{"no error", nil, "running attributor: it ended before it was told to"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			process, _ := testProcess(t.Context(), Default())
			var j journal
			process.Start("log", j.waiting("log", nil))
			process.Start("attributor", func(context.Context) error { return tc.err })
			process.Start("servers", j.waiting("servers", nil))
			if err := process.Wait(); err == nil || err.Error() != tc.want {
				t.Errorf("Wait: %v, want %q", err, tc.want)
			}
			if want := []string{"servers", "log"}; !slices.Equal(j.lines, want) {
				t.Errorf("stopped %v, want %v", j.lines, want)
			}
		})
	}
}

func TestProcessThatFailsToStartStopsWhatRuns(t *testing.T) {
	process, _ := testProcess(t.Context(), Default())
	var j journal
	process.Start("log", j.waiting("log", nil))
	failure := errors.New("no schema")
	if err := process.Stop(failure); !errors.Is(err, failure) {
		t.Errorf("Stop: %v, want the cause", err)
	}
	if !slices.Equal(j.lines, []string{"log"}) {
		t.Errorf("stopped %v", j.lines)
	}
}

func TestProcessToldToStopWhileStartingStopsWithoutAnError(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	process, _ := testProcess(ctx, Default())
	cancel()
	if err := process.Stop(process.Context().Err()); err != nil {
		t.Errorf("Stop: %v", err)
	}
}

func TestProcessReportsFailuresOfStopping(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	process, _ := testProcess(ctx, Default())
	cancel()
	var j journal
	process.Start("store", j.waiting("store", errors.New("flush failed")))
	process.Start("servers", j.waiting("servers", nil))
	if err := process.Wait(); err == nil || !strings.Contains(err.Error(), "stopping store: flush failed") {
		t.Errorf("Wait: %v, want the failure of stopping store", err)
	}
}

func TestProcessGivesUpWhenTheBudgetIsOver(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	process, _ := testProcess(ctx, Config{DrainTimeout: 60 * time.Millisecond, DrainDelay: 10 * time.Millisecond})
	cancel()
	var j journal
	release := make(chan struct{})
	defer close(release)
	process.Start("log", j.waiting("log", nil))
	process.Start("stuck", func(context.Context) error { <-release; return nil })
	began := time.Now()
	err := process.Wait()
	if !errors.Is(err, ErrBudget) || !strings.Contains(err.Error(), "stuck") {
		t.Errorf("Wait: %v, want ErrBudget naming the component", err)
	}
	if took := time.Since(began); took < 60*time.Millisecond || took > 5*time.Second {
		t.Errorf("gave up after %s, want about 60ms", took)
	}
}
