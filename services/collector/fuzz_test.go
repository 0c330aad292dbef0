package collector

import (
	"strings"
	"testing"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/event"
)

// FuzzEvent sends arbitrary bytes as one event of a replay key, the most powerful one: whatever is accepted obeys the log's
// rules.
func FuzzEvent(f *testing.F) {
	r := newRig(f)
	from, _, reason := r.collector.authenticate(replayKey, "")
	if reason != "" {
		f.Fatal(reason)
	}
	_, encodings := mixedEvents(f, 10)
	for _, raw := range encodings {
		f.Add(raw, false)
	}
	f.Add([]byte(`{"event_id":"e","user_key":"u","visit":{},"link":"shop-ben","stamps":{"flags":["robot"],"click":{"event_id":"e","time":1}}}`), true)
	f.Add([]byte(`{"consent":{"state":"denied"},"conversion":{"action":"purchase","order_id":"1","promo_codes":["ben10"]}}`), true)
	f.Fuzz(func(t *testing.T, raw []byte, asJSON bool) {
		b := r.collector.newBatch(from, overGRPC)
		defer b.release()
		if asJSON {
			b.addJSON(raw)
		} else {
			b.addProto(raw)
		}
		if len(b.results) != 1 || len(b.records) > 1 || (b.results[0].status == aftertouchv1.CollectResult_ok) != (len(b.records) == 1) {
			t.Fatalf("%+v, %d records", b.results, len(b.records))
		}
		if len(b.records) == 0 {
			return
		}
		var rec event.Record
		if err := event.Decode(b.records[0].Key, b.records[0].Value, &rec); err != nil {
			t.Fatal(err)
		}
		checkLogged(t, &rec)
	})
}

func checkLogged(t *testing.T, rec *event.Record) {
	e := rec.Event
	received := event.Millis(e.GetStamps().GetReceivedTime())
	if e.EventId == "" || e.ClickId != "" || e.SentTime != nil || received > now.UnixMilli() {
		t.Errorf("not stamped: %v", e)
	}
	if at, clamped, refusal := event.CorrectTime(e, received); refusal != nil || clamped || at != event.Millis(e.EventTime) {
		t.Errorf("time is not final: %v", e)
	}
	if e.UserKey != "" && len(e.UserKey) != 32 {
		t.Errorf("user key is not hashed: %q", e.UserKey)
	}
	if e.Consent.GetState() == aftertouchv1.Consent_denied && (e.VisitorId != "" || e.UserKey != "" || e.Stamps.Click != nil || len(e.Properties) > 0) {
		t.Errorf("denied, and yet: %v", e)
	}
	if rec.To.Workspace != "shop" || strings.HasPrefix(rec.To.ID, "~r/") {
		t.Errorf("addressed to %s", rec.To.Key())
	}
	if scrubbed, refusal := event.Normalize(e); refusal != nil || scrubbed != 0 {
		t.Errorf("what was stored would not be accepted: %v, %d places", refusal, scrubbed)
	}
}
