package collector

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/aftertouch-io/aftertouch/internal/event"
)

func withSpool(dir string) func(*Config) {
	return func(c *Config) {
		c.SpoolDir, c.SpoolRetry, c.AppendTimeout = filepath.Join(dir, "spool"), 20*time.Millisecond, time.Second
	}
}

func TestSpooledEventsAreDeliveredInOrderWithTheirStamps(t *testing.T) {
	r := newRig(t, withSpool(t.TempDir()))
	r.log.down.Store(true)
	const n = 30
	for i := range n {
		status, answer, _ := r.post(secretKey, fmt.Sprintf(`{"events":[{"event_id":"sp%d","visitor_id":"sp","visit":{}}]}`, i))
		if status != 200 || answer.Results[0].Status != "ok" {
			t.Fatalf("event %d: %d %+v", i, status, answer)
		}
		r.clock.Add(1000)
	}
	if r.metric("aftertouch_collector_spooled_records_total") != n || r.metric("aftertouch_collector_spool_bytes") == 0 || r.metric("aftertouch_collector_lag_seconds") < n-1 {
		t.Errorf("spooled %v, %v bytes, lag %v", r.metric("aftertouch_collector_spooled_records_total"), r.metric("aftertouch_collector_spool_bytes"), r.metric("aftertouch_collector_lag_seconds"))
	}
	r.log.down.Store(false)
	eventually(t, "the spool is delivered", func() bool { return r.metric("aftertouch_collector_spool_bytes") == 0 })
	recs := r.logged()["shop/v:sp"]
	if len(recs) != n {
		t.Fatalf("%d of %d events are in the log", len(recs), n)
	}
	for i, rec := range recs {
		if rec.Event.EventId != fmt.Sprintf("sp%d", i) || event.Millis(rec.Event.Stamps.ReceivedTime) != now.UnixMilli()+int64(i)*1000 {
			t.Errorf("record %d: %v", i, rec.Event)
		}
	}
	calls := r.log.calls.Load()
	if status, reason := r.send(secretKey, `{"visitor_id":"sp-after","visit":{}}`); status != "ok" {
		t.Errorf("%s %s", status, reason)
	}
	if r.log.calls.Load() != calls+1 || r.metric("aftertouch_collector_spooled_records_total") != n {
		t.Error("with the spool empty events go straight to the log again")
	}
}

func TestSpoolOutlivesTheProcess(t *testing.T) {
	dir := t.TempDir()
	r := newRig(t, withSpool(dir))
	r.log.down.Store(true)
	if status, reason := r.send(secretKey, `{"event_id":"ol1","visitor_id":"ol","visit":{}}`); status != "ok" {
		t.Fatalf("%s %s", status, reason)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	again := newRig(t, withSpool(dir))
	eventually(t, "the next run delivers", func() bool { return len(again.logged()["shop/v:ol"]) == 1 })
}

func TestFullSpoolMeansUnavailable(t *testing.T) {
	r := newRig(t, withSpool(t.TempDir()), func(c *Config) { c.SpoolBytes = 4 << 20 })
	r.log.down.Store(true)
	var last answerJSON
	for i := range 20 {
		body := `{"events":[`
		for j := range 60 {
			body += fmt.Sprintf(`{"event_id":"f%d-%d","visit":{},"properties":{`, i, j)
			for p := range 16 {
				body += fmt.Sprintf(`"p%d":"%0250d",`, p, p)
			}
			body = body[:len(body)-1] + `}},`
		}
		var status int
		if status, last, _ = r.post(secretKey, body[:len(body)-1]+`]}`); status == 503 {
			if i < 5 {
				t.Errorf("full after %d batches", i)
			}
			break
		}
	}
	if len(last.Results) == 0 || last.Results[0].Status != "unavailable" {
		t.Errorf("%+v", last)
	}
	r.log.down.Store(false)
	eventually(t, "the spool is delivered", func() bool { return r.metric("aftertouch_collector_spool_bytes") == 0 })
}

func TestRefusalsAreAppendedToTheLog(t *testing.T) {
	r := newRig(t, func(c *Config) { c.RefusalInterval = 100 * time.Millisecond })
	key := "shop/v:~r/" + r.collector.refusals.runID
	latest := func() map[string]int64 {
		counts := map[string]int64{}
		for _, rec := range r.logged()[key] {
			clear(counts)
			for _, c := range rec.Refusals.GetCounts() {
				counts[c.Transport+"/"+c.Reason+"/"+c.KeyId] = c.Count
			}
			if rec.Refusals.RunId != r.collector.refusals.runID || rec.Refusals.Hour != now.UnixMilli() {
				t.Errorf("%v", rec.Refusals)
			}
		}
		return counts
	}
	r.send(webKey, `{"link":"nowhere","visit":{}}`)
	r.pixel("key=" + webKey + "&link=nowhere")
	r.post(readKey, `{"events":[]}`)
	r.post("ats_nobody_has_this_key1", `{"events":[]}`)
	eventually(t, "three counts", func() bool { return len(latest()) == 3 })
	r.send(webKey, `{"link":"nowhere","visit":{}}`)
	eventually(t, "totals go on", func() bool { return latest()["http/unknown_link/web"] == 2 })
	if got := latest(); got["pixel/unknown_link/web"] != 1 || got["http/wrong_scope/read"] != 1 {
		t.Errorf("%v", got)
	}
	n := len(r.logged()[key])
	time.Sleep(300 * time.Millisecond)
	if len(r.logged()[key]) != n {
		t.Error("unchanged counts are appended again")
	}
	r.send(webKey, `{"link":"nowhere","visit":{}}`)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if latest()["http/unknown_link/web"] != 3 {
		t.Errorf("the last counts are lost: %v", latest())
	}
}

func TestRefusalCountsSurviveAFailedAppend(t *testing.T) {
	r := newRig(t, func(c *Config) { c.RefusalInterval = 100 * time.Millisecond })
	r.log.down.Store(true)
	r.send(webKey, `{"link":"nowhere","visit":{}}`)
	time.Sleep(250 * time.Millisecond)
	r.log.down.Store(false)
	eventually(t, "counted after all", func() bool { return len(r.logged()["shop/v:~r/"+r.collector.refusals.runID]) == 1 })
}

func TestCounterfeitRefusalsKeyCannotBeSent(t *testing.T) {
	r := newRig(t)
	for _, id := range []string{"~r/x", "~c/x", "~e/x"} {
		if status, reason := r.send(secretKey, `{"visitor_id":"`+id+`","visit":{}}`); status != "refused" || reason != string(event.Malformed) {
			t.Errorf("%s: %s %s", id, status, reason)
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*Config){
		"byte budget": func(c *Config) { c.ByteBudget = 1 }, "timeout": func(c *Config) { c.AppendTimeout = 0 },
		"spool": func(c *Config) { c.SpoolDir, c.SpoolBytes = "x", 1 }, "retry": func(c *Config) { c.SpoolRetry = 0 },
		"window": func(c *Config) { c.StreamWindow = 0 }, "pixel": func(c *Config) { c.PixelWait = 0 },
		"redirect": func(c *Config) { c.RedirectWait = time.Second }, "refusals": func(c *Config) { c.RefusalInterval = 0 },
	} {
		cfg := Default()
		change(&cfg)
		if err := cfg.Validate(); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestManyRefusalCountsAreSplit(t *testing.T) {
	r := newRig(t)
	for i := range maxCounts + 1 {
		r.collector.refusals.count("shop", fmt.Sprint("key-", i), overHTTP, "malformed", 1, now)
	}
	r.collector.appendRefusals(t.Context())
	recs := r.logged()["shop/v:~r/"+r.collector.refusals.runID]
	if len(recs) != 2 || len(recs[0].Refusals.Counts)+len(recs[1].Refusals.Counts) != maxCounts+1 {
		t.Errorf("%d records", len(recs))
	}
}
