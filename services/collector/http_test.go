package collector

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/event"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
)

const chrome = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"

func TestPostedEventIsStampedAndLogged(t *testing.T) {
	r := newRig(t, func(c *Config) { c.CountryHeader = "X-Country" })
	status, answer, _ := r.post(webKey, `{"events":[{"event_id":"e1","visitor_id":"v1","link":"shop-anna","page_url":"https://jo@shop.example/a?x=1&utm_source=ig#f","visit":{"session_start":true}}]}`,
		"User-Agent", chrome, "X-Country", "de")
	if status != 200 || len(answer.Results) != 1 || answer.Results[0].Status != "ok" || answer.Results[0].EventID != "e1" {
		t.Fatalf("%d %+v", status, answer)
	}
	want := &aftertouchv1.Event{
		EventId: "e1", EventTime: event.Time(now.UnixMilli()), VisitorId: "v1", Link: "shop-anna", Placement: "p-anna",
		PageUrl: "https://shop.example/a?utm_source=ig", Kind: &aftertouchv1.Event_Visit{Visit: &aftertouchv1.Visit{SessionStart: true}},
		Stamps: &aftertouchv1.Stamps{
			ReceivedTime: event.Time(now.UnixMilli()), Source: aftertouchv1.Stamps_browser, WorkspaceVersion: 1, Country: "DE", DeviceClass: "desktop",
			Terms: &aftertouchv1.Terms{AgreementId: "a-anna", AgreementVersion: 1, CampaignId: "spring", CreatorId: "anna"},
		},
	}
	rec := r.logged()["shop/v:v1"][0]
	if diff := cmp.Diff(want, rec.Event, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	if rec.RegistryOffset != r.world.view.Offset() {
		t.Errorf("registry offset %d, the registry is at %d", rec.RegistryOffset, r.world.view.Offset())
	}
	if n := r.metric("aftertouch_collector_out_events_total", "transport", "http"); n != 1 {
		t.Errorf("counted %v", n)
	}
}

// Each reason of a refused event is answered by name, and the good events around it are kept.
func TestRefusedEventCostsNoOther(t *testing.T) {
	r := newRig(t)
	long := strings.Repeat("x", event.MaxEventBytes)
	for i, c := range []struct{ event, reason string }{
		{`{"event_id":"b","visit":"no"}`, "malformed"},
		{`"event"`, "malformed"},
		{`{"event_id":"b"}`, "malformed"},
		{`{"event_id":"b","conversion":{"action":""}}`, "malformed"},
		{`{"event_id":"b","event_time":"yesterday","visit":{}}`, "malformed"},
		{`{"event_id":"b","adjustment":{"id":"a1","type":"refund","action":"purchase","order_id":"1"}}`, "malformed"},
		{`{"event_id":"b","consent_change":{}}`, "malformed"},
		{`{"event_id":"b","link":"nowhere","visit":{}}`, "unknown_link"},
		{`{"event_id":"b","link":"other-anna","visit":{}}`, "unknown_link"},
		{`{"event_id":"b","placement":"nowhere","impression":{}}`, "unknown_placement"},
		{`{"event_id":"b","placement":"p-ben","link":"shop-anna","visit":{}}`, "agreement_mismatch"},
		{`{"event_id":"b","event_time":"2026-03-16T12:00:00.001Z","visit":{}}`, "future_event"},
		{`{"event_id":"b","page_url":"https://a/` + long + `","visit":{}}`, "event_too_large"},
		{`{"event_id":"b","conversion":{"action":"purchase","value_minor":-1,"currency":"EUR"}}`, "negative_value"},
		{`{"event_id":"b","conversion":{"action":"purchase","value_minor":1,"currency":"XYZ"}}`, "unknown_currency"},
		{`{"event_id":"b","conversion":{"action":"purchase","value_minor":1}}`, "missing_currency"},
		{`{"event_id":"b","visitor_id":"undefined","visit":{}}`, "placeholder_id"},
		{`{"event_id":"b","user_key":"jo@example.com","identify":{}}`, "email_in_id"},
		{`{"event_id":"b","user_key":"+491701234567","identify":{}}`, "phone_in_user_key"},
		{`{"event_id":"b","stamps":{"source":"server"},"visit":{}}`, "stamps_not_allowed"},
	} {
		good := [2]string{fmt.Sprintf("%s-%d", c.reason, i), fmt.Sprintf("%s-%d-b", c.reason, i)}
		body := fmt.Sprintf(`{"events":[{"event_id":"g","visitor_id":%q,"visit":{}},%s,{"event_id":"g","visitor_id":%q,"click":{}}]}`, good[0], c.event, good[1])
		status, answer, _ := r.post(secretKey, body)
		if status != 200 || len(answer.Results) != 3 {
			t.Fatalf("%.60s: %d %+v", c.event, status, answer)
		}
		bad := answer.Results[1]
		if bad.Status != "refused" || bad.Reason != c.reason || bad.Detail == "" {
			t.Errorf("%.60s: got %+v, want %s", c.event, bad, c.reason)
		}
		if strings.HasPrefix(c.event, `{"event_id":"b"`) && bad.EventID != "b" && c.reason != "event_too_large" {
			t.Errorf("%.60s: the answer names event %q", c.event, bad.EventID)
		}
		if answer.Results[0].Status != "ok" || answer.Results[2].Status != "ok" {
			t.Errorf("%.60s: the good ones: %+v", c.event, answer.Results)
		}
		log := r.logged()
		if len(log["shop/v:"+good[0]]) != 1 || len(log["shop/v:"+good[1]]) != 1 {
			t.Errorf("%.60s: the good ones are not in the log", c.event)
		}
	}
	if n := r.metric("aftertouch_collector_rejected_events_total", "reason", "unknown_link", "transport", "http"); n != 2 {
		t.Errorf("unknown_link was counted %v times", n)
	}
}

func TestWholeRequestIsRefused(t *testing.T) {
	r := newRig(t)
	const ok = `{"events":[{"event_id":"x","visit":{}}]}`
	for name, c := range map[string]struct {
		key, body string
		headers   []string
		status    int
		reason    string
	}{
		"unknown key":             {"ats_nobody_has_this_key1", ok, nil, 401, "unknown_key"},
		"no key":                  {"", ok, nil, 401, "unknown_key"},
		"revoked key":             {revokedKey, ok, nil, 401, "revoked_key"},
		"wrong scope":             {readKey, ok, nil, 403, "wrong_scope"},
		"another origin":          {boundKey, ok, []string{"Origin", "https://evil.example"}, 403, "origin_refused"},
		"origin of a like name":   {boundKey, ok, []string{"Origin", "https://notshop.example"}, 403, "origin_refused"},
		"no origin":               {boundKey, ok, nil, 403, "origin_refused"},
		"not JSON":                {secretKey, `{"events":[`, nil, 400, "malformed"},
		"no list":                 {secretKey, `{"event":{}}`, nil, 400, "malformed"},
		"list of another type":    {secretKey, `{"events":{}}`, nil, 400, "malformed"},
		"another content type":    {secretKey, ok, []string{"Content-Type", "application/xml"}, 400, "malformed"},
		"another encoding":        {secretKey, ok, []string{"Content-Encoding", "br"}, 400, "malformed"},
		"not gzip":                {secretKey, ok, []string{"Content-Encoding", "gzip"}, 400, "malformed"},
		"too many events":         {secretKey, `{"events":[` + strings.Repeat(`{},`, event.MaxBatchEvents) + `{}]}`, nil, 413, "batch_too_large"},
		"too many bytes":          {secretKey, `{"events":[]}` + strings.Repeat(" ", event.MaxBatchBytes), nil, 413, "batch_too_large"},
		"too many bytes unpacked": {secretKey, zip(`{"events":[]}` + strings.Repeat(" ", event.MaxBatchBytes)), []string{"Content-Encoding", "gzip"}, 413, "batch_too_large"},
	} {
		status, answer, header := r.post(c.key, c.body, c.headers...)
		if status != c.status || answer.Reason != c.reason || answer.Detail == "" {
			t.Errorf("%s: got %d %+v, want %d %s", name, status, answer, c.status, c.reason)
		}
		if c.reason == "origin_refused" && header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: the browser is told that the origin may read", name)
		}
		if n := r.metric("aftertouch_collector_rejected_events_total", "reason", c.reason); n == 0 {
			t.Errorf("%s: not counted", name)
		}
	}
	if len(r.logged()["shop/v:~e/x"]) != 0 {
		t.Error("an event of a refused request is in the log")
	}
}

func zip(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(s))
	_ = z.Close()
	return b.String()
}

func TestBrowsersSendTextAndGzipFromAllowedOrigins(t *testing.T) {
	r := newRig(t)
	for i, headers := range [][]string{
		{"Content-Type", "text/plain;charset=UTF-8", "Origin", "https://shop.example"},
		{"Content-Type", "application/json", "Origin", "https://www.shop.example"},
		{"Content-Encoding", "gzip", "Referer", "https://shop.example/page?x=1"},
	} {
		body := fmt.Sprintf(`{"events":[{"event_id":"t%d","visitor_id":"text%d","visit":{}}]}`, i, i)
		if i == 2 {
			body = zip(body)
		}
		req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, r.http.URL+"/v1/events?key="+boundKey, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		status, answer, header := r.do(req, headers...)
		if status != 200 || answer.Results[0].Status != "ok" {
			t.Errorf("%v: %d %+v", headers, status, answer)
		}
		if origin := req.Header.Get("Origin"); header.Get("Access-Control-Allow-Origin") != origin {
			t.Errorf("%v: allowed origin %q", headers, header.Get("Access-Control-Allow-Origin"))
		}
		r.only(fmt.Sprintf("shop/v:text%d", i))
	}
}

func TestPreflight(t *testing.T) {
	r := newRig(t)
	for origin, want := range map[string]string{"https://shop.example": "https://shop.example", "https://evil.example": ""} {
		req, err := http.NewRequestWithContext(context.Background(), http.MethodOptions, r.http.URL+"/v1/events?key="+boundKey, nil)
		if err != nil {
			t.Fatal(err)
		}
		status, _, h := r.do(req, "Origin", origin, "Access-Control-Request-Method", "POST")
		if status != 204 || h.Get("Access-Control-Allow-Origin") != want || !strings.Contains(h.Get("Access-Control-Allow-Headers"), "Authorization") {
			t.Errorf("%s: %d %v", origin, status, h)
		}
	}
}

func TestUnknownFieldsAreCounted(t *testing.T) {
	r := newRig(t)
	status, answer, _ := r.post(secretKey, `{"events":[{"event_id":"u1","visitor_id":"uf","colour":1,"visit":{"depth":3}}]}`)
	if status != 200 || answer.Results[0].Status != "ok" {
		t.Fatalf("%d %+v", status, answer)
	}
	if n := r.metric("aftertouch_collector_unknown_fields_total"); n != 2 {
		t.Errorf("counted %v", n)
	}
}

func TestRateLimitOfKey(t *testing.T) {
	r := newRig(t)
	events := `{"events":[` + strings.Repeat(`{"visit":{}},`, 999) + `{"visit":{}}]}`
	if status, answer, _ := r.post(limitedKey, events); status != 200 {
		t.Fatalf("the first batch: %d %+v", status, answer)
	}
	status, answer, h := r.post(limitedKey, `{"events":[{"visit":{}}]}`)
	if status != 429 || answer.Reason != "rate_limited" || h.Get("Retry-After") == "" {
		t.Errorf("over the rate: %d %+v", status, answer)
	}
	r.clock.Add(time.Second.Milliseconds())
	if status, _, _ := r.post(limitedKey, `{"events":[{"visit":{}}]}`); status != 200 {
		t.Errorf("a second later: %d", status)
	}
}

func TestByteBudgetIsHeld(t *testing.T) {
	r := newRig(t, func(c *Config) { c.ByteBudget = 2 * event.MaxBatchBytes })
	r.log.slow.Store(int64(500 * time.Millisecond))
	body := `{"events":[{"visit":{}}]}` + strings.Repeat(" ", event.MaxBatchBytes*9/10)
	statuses := make(chan int, 2)
	for range 2 {
		go func() { status, _, _ := r.post(secretKey, body); statuses <- status }()
	}
	eventually(t, "two bodies hold the budget", func() bool {
		free := r.collector.budget.TryAcquire(event.MaxBatchBytes / 4)
		if free {
			r.collector.budget.Release(event.MaxBatchBytes / 4)
		}
		return !free
	})
	if status, answer, h := r.post(secretKey, body); status != 503 || answer.Reason != "over_budget" || h.Get("Retry-After") == "" {
		t.Errorf("over the budget: %d %+v", status, answer)
	}
	for range 2 {
		if status := <-statuses; status != 200 {
			t.Errorf("within the budget: %d", status)
		}
	}
	r.log.slow.Store(0)
	if status, _, _ := r.post(secretKey, body); status != 200 {
		t.Errorf("the budget was not given back: %d", status)
	}
}

func TestWhoAnnouncesMuchAndSendsNothingHoldsNothing(t *testing.T) {
	r := newRig(t, func(c *Config) { c.ByteBudget = 2 * event.MaxBatchBytes })
	for range 4 {
		conn, err := net.Dial("tcp", r.http.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := fmt.Fprintf(conn, "POST /v1/events?key=%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n{", webKey, event.MaxBatchBytes); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(50 * time.Millisecond) // they are being read
	body := `{"events":[{"visit":{}}]}` + strings.Repeat(" ", event.MaxBatchBytes*9/10)
	if status, answer, _ := r.post(secretKey, body); status != 200 {
		t.Errorf("beside slow clients: %d %+v", status, answer)
	}
}

func TestUnavailableBrokersAreSaidSo(t *testing.T) {
	r := newRig(t)
	r.log.down.Store(true)
	status, answer, h := r.post(secretKey, `{"events":[{"event_id":"n1","visitor_id":"na","visit":{}},{"event_id":"n2","visitor_id":"na","visit":{}}]}`)
	if status != 503 || h.Get("Retry-After") == "" || len(answer.Results) != 2 || answer.Results[0].Status != "unavailable" || answer.Results[1].Status != "unavailable" {
		t.Errorf("all unavailable: %d %+v", status, answer)
	}
	status, answer, _ = r.post(secretKey, `{"events":[{"event_id":"n3","visitor_id":"na","visit":{}},{"event_id":"n4"}]}`)
	if status != 200 || answer.Results[0].Status != "unavailable" || answer.Results[1].Status != "refused" {
		t.Errorf("one unavailable: %d %+v", status, answer)
	}
	if n := r.metric("aftertouch_collector_rejected_events_total", "reason", "unavailable"); n != 3 {
		t.Errorf("counted %v", n)
	}
}

func TestScriptIsServed(t *testing.T) {
	r := newRig(t)
	status, _, h := r.get("/at.js")
	if status != 200 || !strings.HasPrefix(h.Get("Content-Type"), "text/javascript") || h.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("%d %v", status, h)
	}
	if status, _, _ = r.get("/at.js", "If-None-Match", h.Get("ETag")); status != 304 {
		t.Errorf("known script: %d", status)
	}
}
