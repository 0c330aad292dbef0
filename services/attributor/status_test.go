package attributor

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestLagIsWhatIsLeftAndHowOldItIs(t *testing.T) {
	var all statuses
	a, b := all.add(1), all.add(0)
	now := time.UnixMilli(1_000_000)
	a.end(100)
	a.restored(40)
	a.begin(990_000)
	want := Lag{Partition: 1, Records: 60, Age: 10 * time.Second}
	if got := all.lags(now); len(got) != 2 || got[0] != (Lag{Partition: 0}) || got[1] != want {
		t.Errorf("behind: %+v", got)
	}
	a.advance(100)
	a.idle()
	b.end(0)
	b.restored(0)
	if got := all.lags(now); !got[0].CaughtUp || got[1] != (Lag{Partition: 1, CaughtUp: true}) {
		t.Errorf("caught up: %+v", got)
	}
	// What comes later does not make a partition unready again.
	a.end(200)
	if got := all.lags(now); !got[1].CaughtUp || got[1].Records != 100 {
		t.Errorf("more came: %+v", got)
	}
	all.stop(1)
	reg := prometheus.NewRegistry()
	must(t, reg.Register(&all))
	err := testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP aftertouch_attributor_lag_records Records that have not been applied.
# TYPE aftertouch_attributor_lag_records gauge
aftertouch_attributor_lag_records{partition="0"} 0
aftertouch_attributor_lag_records{partition="1"} 100
# HELP aftertouch_attributor_partitions_assigned Partitions that this process has.
# TYPE aftertouch_attributor_partitions_assigned gauge
aftertouch_attributor_partitions_assigned 2
# HELP aftertouch_attributor_partitions_stopped Partitions that stopped with an error that trying again cannot cure.
# TYPE aftertouch_attributor_partitions_stopped gauge
aftertouch_attributor_partitions_stopped 1
`), "aftertouch_attributor_lag_records", "aftertouch_attributor_partitions_assigned", "aftertouch_attributor_partitions_stopped")
	must(t, err)
	// A later assignment's status outlives the end of an earlier one.
	later := all.add(1)
	all.remove(a)
	if got := all.lags(now); len(got) != 2 || got[1].Stopped {
		t.Errorf("after another assignment: %+v", got)
	}
	all.remove(later)
	if got := all.lags(now); len(got) != 1 {
		t.Errorf("after its end: %+v", got)
	}
}

func TestConfigSaysWhatCannotWork(t *testing.T) {
	cfg := Default()
	must(t, cfg.Validate())
	for name, change := range map[string]func(*Config){
		"group":           func(c *Config) { c.Group = "" },
		"max-records":     func(c *Config) { c.MaxRecords = 0 },
		"max-bytes":       func(c *Config) { c.MaxBytes = 1 << 30 },
		"max-rows":        func(c *Config) { c.MaxRows = 1_000_000 },
		"poll-wait":       func(c *Config) { c.PollWait = 0 },
		"session-timeout": func(c *Config) { c.SessionTimeout = time.Second },
	} {
		cfg := Default()
		if change(&cfg); cfg.Validate() == nil || !strings.Contains(cfg.Validate().Error(), name) {
			t.Errorf("%s: %v", name, cfg.Validate())
		}
	}
}
