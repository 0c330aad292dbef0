package attributor

import (
	"errors"
	"testing"

	"github.com/aftertouch-io/aftertouch/internal/state"
)

func TestRestartRules(t *testing.T) {
	for _, tt := range []struct {
		name                  string
		start, end, committed int64
		next                  int64
		epoch                 string
		want                  error
	}{
		{name: "state is where the group is", start: 0, end: 10, committed: 5, next: 5},
		{name: "state is ahead of the group", start: 0, end: 10, committed: 4, next: 5},
		{name: "state is behind the group", start: 0, end: 10, committed: 9, next: 5},
		{name: "group has committed nothing", start: 0, end: 10, committed: -1, next: 5},
		{name: "everything is applied", start: 0, end: 10, committed: 10, next: 10},
		{name: "log begins at the next record", start: 5, end: 10, committed: 5, next: 5},
		{name: "log is empty and begins at the next record", start: 5, end: 5, committed: 5, next: 5},
		{name: "retention has overtaken the state", start: 6, end: 10, committed: 5, next: 5, want: errBehindLog},
		{name: "state is ahead of the log", start: 0, end: 4, committed: 4, next: 5, want: ErrLogWentBackwards},
		{name: "group is ahead of the log", start: 0, end: 4, committed: 5, next: 4, want: ErrLogWentBackwards},
		{name: "state is of another epoch", start: 0, end: 10, committed: 5, next: 5, epoch: "other", want: ErrLogWentBackwards},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := situation{start: tt.start, end: tt.end, committed: tt.committed, epochID: "id"}
			m := state.Meta{EpochID: "id", Next: tt.next}
			if tt.epoch != "" {
				m.EpochID = tt.epoch
			}
			got := s.committedUsable()
			if got == nil {
				got = s.usable(&m)
			}
			if !errors.Is(got, tt.want) || (got != nil && tt.want == nil) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestThePartitionClockFollowsTheHighestTimestampByAtMostAnHour(t *testing.T) {
	const hour = 3_600_000
	clock := int64(0)
	for _, step := range []struct{ timestamp, want int64 }{
		{5 * hour, 5 * hour}, {4 * hour, 5 * hour}, {6 * hour, 6 * hour}, {100 * hour, 7 * hour}, {7*hour + 1, 7*hour + 1},
	} {
		if clock = follow(clock, step.timestamp); clock != step.want {
			t.Errorf("after %d the clock is %d, want %d", step.timestamp, clock, step.want)
		}
	}
}
