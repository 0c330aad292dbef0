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

func testProcess(c Config) (*Process, *Readiness) {
	readiness := &Readiness{}
	return NewProcess(c, slog.New(slog.DiscardHandler), readiness), readiness
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

func (j *journal) component(name string, after error) Component {
	return Component{Name: name, Run: func(ctx context.Context) error {
		<-ctx.Done()
		j.add(name)
		return after
	}}
}

func TestProcessStopsComponentsLastFirstAndOnlyAfterReadinessIsGone(t *testing.T) {
	process, readiness := testProcess(Default())
	ctx, cancel := context.WithCancel(t.Context())
	var j journal
	readiness.OnDrain(func() { j.add("unready") })
	time.AfterFunc(20*time.Millisecond, cancel)
	err := process.Run(ctx, j.component("log", nil), j.component("collector", context.Canceled), j.component("servers", nil))
	if err != nil {
		t.Fatalf("Run: %v", err)
	}
	if want := []string{"unready", "servers", "collector", "log"}; !slices.Equal(j.lines, want) {
		t.Errorf("order of stopping is %v, want %v", j.lines, want)
	}
	if state := readiness.State(); state["process"] != "draining" {
		t.Errorf("state after draining is %v", state)
	}
}

func TestProcessStopsEverythingWhenOneComponentFails(t *testing.T) {
	broken := errors.New("disk on fire")
	for _, tc := range []struct {
		name string
		err  error
		want string
	}{
		{"error", broken, "running attributor: disk on fire"},
		{"no error", nil, "running attributor: it ended before it was told to"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			process, _ := testProcess(Default())
			var j journal
			err := process.Run(t.Context(), j.component("log", nil),
				Component{Name: "attributor", Run: func(context.Context) error { return tc.err }}, j.component("servers", nil))
			if err == nil || err.Error() != tc.want {
				t.Errorf("Run: %v, want %q", err, tc.want)
			}
			if want := []string{"servers", "log"}; !slices.Equal(j.lines, want) {
				t.Errorf("stopped %v, want %v", j.lines, want)
			}
		})
	}
}

func TestProcessReportsFailuresOfStopping(t *testing.T) {
	process, _ := testProcess(Default())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var j journal
	err := process.Run(ctx, j.component("store", errors.New("flush failed")), j.component("servers", nil))
	if err == nil || !strings.Contains(err.Error(), "stopping store: flush failed") {
		t.Errorf("Run: %v, want the failure of stopping store", err)
	}
}

func TestProcessGivesUpWhenTheBudgetIsOver(t *testing.T) {
	process, _ := testProcess(Config{DrainTimeout: 60 * time.Millisecond, DrainDelay: 10 * time.Millisecond})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var j journal
	release := make(chan struct{})
	defer close(release)
	began := time.Now()
	err := process.Run(ctx, j.component("log", nil), Component{Name: "stuck", Run: func(context.Context) error { <-release; return nil }})
	if !errors.Is(err, ErrBudget) || !strings.Contains(err.Error(), "stuck") {
		t.Errorf("Run: %v, want ErrBudget naming the component", err)
	}
	if took := time.Since(began); took < 60*time.Millisecond || took > 5*time.Second {
		t.Errorf("gave up after %s, want about 60ms", took)
	}
}
