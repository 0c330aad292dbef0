package collector

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/event"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
)

// pixel requests the image and checks that it is one.
func (r *rig) pixel(query string, headers ...string) string {
	r.t.Helper()
	status, _, h := r.get("/v1/pixel.gif?"+query, headers...)
	if body := h.Get("Test-Body"); status != 200 || h.Get("Content-Type") != "image/gif" || len(body) != 43 || !strings.HasPrefix(body, "GIF89a") || h.Get("Cache-Control") != "no-store" {
		r.t.Fatalf("%s: %d, %d bytes, %v", query, status, len(body), h)
	}
	return h.Get("Aftertouch-Status")
}

func TestPixelTakesFieldNamesAsParameters(t *testing.T) {
	r := newRig(t)
	if got := r.pixel("key="+webKey+"&placement=p-anna&visitor_id=px1&event_id=px1", "Referer", "https://blog.example/post?secret=1&utm_source=x"); got != "ok" {
		t.Fatal(got)
	}
	e := r.only("shop/v:px1")
	want := &aftertouchv1.Event{
		EventId: "px1", VisitorId: "px1", EventTime: event.Time(now.UnixMilli()), Placement: "p-anna", PageUrl: "https://blog.example/post?utm_source=x",
		Kind: &aftertouchv1.Event_Impression{Impression: &aftertouchv1.Impression{}}, Stamps: e.Stamps,
	}
	if diff := cmp.Diff(want, e, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	query := url.Values{
		"key": {webKey}, "type": {"conversion"}, "visitorId": {"px2"}, "action": {"purchase"}, "orderId": {"px-2"}, "value_minor": {"4999"}, "currency": {"EUR"},
		"promo_codes": {"anna10,ben10", "x1"}, "event_time": {"2026-03-15T11:00:00Z"}, "page_url": {"https://shop.example/thanks"}, "consent": {"granted"},
		"properties.plan": {"pro"}, "r": {"0.123"}, "evidence": {"declared"}, "order_scope": {"de"},
	}
	if got := r.pixel(query.Encode()); got != "ok" {
		t.Fatal(got)
	}
	e = r.only("shop/o:purchase/de/px-2")
	want = &aftertouchv1.Event{
		EventId: e.EventId, VisitorId: "px2", EventTime: event.Time(now.Add(-time.Hour).UnixMilli()), PageUrl: "https://shop.example/thanks",
		Consent: &aftertouchv1.Consent{State: aftertouchv1.Consent_granted}, Properties: map[string]string{"plan": "pro"}, Stamps: e.Stamps,
		Kind: &aftertouchv1.Event_Conversion{Conversion: &aftertouchv1.Conversion{
			Action: "purchase", OrderId: "px-2", OrderScope: "de", ValueMinor: 4999, Currency: "EUR",
			PromoCodes: []string{"ANNA10", "BEN10", "X1"}, Evidence: aftertouchv1.Conversion_declared,
		}},
	}
	if diff := cmp.Diff(want, e, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}

func TestPixelIsServedWhateverHappens(t *testing.T) {
	r := newRig(t, func(c *Config) { c.PixelWait = 50 * time.Millisecond })
	for query, want := range map[string]string{
		"":                                    "refused; reason=unknown_key",
		"key=atw_nobody_has_this_key1":        "refused; reason=unknown_key",
		"key=" + revokedKey:                   "refused; reason=revoked_key",
		"key=" + readKey:                      "refused; reason=wrong_scope",
		"key=" + boundKey:                     "refused; reason=origin_refused",
		"%zz":                                 "refused; reason=malformed",
		"key=" + webKey + "&type=nonsense":    "refused; reason=malformed",
		"key=" + webKey + "&event_time=now":   "refused; reason=malformed",
		"key=" + webKey + "&viewability=very": "refused; reason=malformed",
		"key=" + webKey + "&visible_ms=many":  "refused; reason=malformed",
		"key=" + webKey + "&type=visit&session_start=maybe":                       "refused; reason=malformed",
		"key=" + webKey + "&link=nowhere":                                         "refused; reason=unknown_link",
		"key=" + webKey + "&visitor_id=null":                                      "refused; reason=placeholder_id",
		"key=" + webKey + "&type=conversion&action=x&value_minor=5":               "refused; reason=missing_currency",
		"key=" + webKey + "&type=adjustment":                                      "refused; reason=malformed",
		"key=" + webKey + "&page_url=" + strings.Repeat("x", event.MaxEventBytes): "refused; reason=event_too_large",
		"key=" + webKey + "&type=engagement&engagement_type=like":                 "ok",
		"key=" + webKey + "&type=visit&session_start=true":                        "ok",
		"key=" + webKey + "&type=click":                                           "ok",
		"key=" + webKey + "&type=identify&user_key=u1":                            "ok",
		"key=" + webKey + "&viewability=viewable&visible_ms=1500":                 "ok",
	} {
		if got := r.pixel(query); got != want {
			t.Errorf("%.60s: %q, want %q", query, got, want)
		}
	}
	if got := r.pixel("key="+boundKey+"&type=visit", "Referer", "https://shop.example/x"); got != "ok" {
		t.Errorf("referring page of the origin: %s", got)
	}
	r.log.slow.Store(int64(300 * time.Millisecond))
	if got := r.pixel("key=" + webKey + "&event_id=late1"); got != "pending" {
		t.Errorf("slow log: %s", got)
	}
	eventually(t, "the pending event is logged all the same", func() bool { return len(r.logged()["shop/v:~e/late1"]) == 1 })
	r.log.slow.Store(0)
	r.log.down.Store(true)
	if got := r.pixel("key=" + webKey); got != "unavailable; reason=unavailable" {
		t.Errorf("brokers down: %s", got)
	}
	if n := r.metric("aftertouch_collector_lost_events_total"); n != 1 {
		t.Errorf("%v lost pixels counted", n)
	}
}

func TestHeadTakesNoEvent(t *testing.T) {
	r := newRig(t)
	for path, want := range map[string]int{"/v1/pixel.gif?placement=p-anna&visitor_id=px1": http.StatusOK, "/v1/postback?action=purchase&order_id=pb-1": http.StatusMethodNotAllowed} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodHead, r.http.URL+path+"&key="+webKey, nil)
		if err != nil {
			t.Fatal(err)
		}
		if status, _, h := r.do(req); status != want || h.Get("Aftertouch-Status") != "" {
			t.Errorf("HEAD %s: %d %v, want %d", path, status, h, want)
		}
	}
	if n := len(r.logged()); n != 0 {
		t.Errorf("HEAD wrote %d records", n)
	}
}

func TestPostback(t *testing.T) {
	r := newRig(t)
	status, answer, _ := r.get("/v1/postback?key=" + secretKey + "&action=purchase&order_id=pb-1&value_minor=100&currency=EUR")
	if status != 200 || answer.Results[0].Status != "ok" {
		t.Fatalf("%d %+v", status, answer)
	}
	if e := r.only("shop/o:purchase//pb-1"); e.Stamps.Source != aftertouchv1.Stamps_server {
		t.Errorf("%v", e)
	}
	post := func(key, form string) (int, answerJSON) {
		req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, r.http.URL+"/v1/postback", strings.NewReader(form))
		if err != nil {
			t.Fatal(err)
		}
		status, answer, _ := r.do(req, "Content-Type", "application/x-www-form-urlencoded", "Authorization", "Bearer "+key)
		return status, answer
	}
	if status, answer := post(secretKey, "action=purchase&order_id=pb-2"); status != 200 || answer.Results[0].Status != "ok" {
		t.Errorf("form: %d %+v", status, answer)
	}
	r.only("shop/o:purchase//pb-2")
	if status, answer := post(secretKey, "action=purchase&value_minor=-5&currency=EUR"); status != 200 || answer.Results[0].Reason != "negative_value" {
		t.Errorf("refused: %d %+v", status, answer)
	}
	if status, answer := post("ats_nobody_has_this_key1", "action=purchase"); status != 401 || answer.Reason != "unknown_key" {
		t.Errorf("bad key: %d %+v", status, answer)
	}
	if status, answer := post(secretKey, strings.Repeat("x", event.MaxEventBytes+1)); status != 413 || answer.Reason != "event_too_large" {
		t.Errorf("too large: %d %+v", status, answer)
	}
	r.log.down.Store(true)
	if status, answer := post(secretKey, "action=purchase"); status != 503 || answer.Results[0].Status != "unavailable" {
		t.Errorf("brokers down: %d %+v", status, answer)
	}
}
