package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// refused is an event that is refused for one reason, as JSON and, where a query can say it, as parameters of a pixel.
type refused struct {
	reason string
	event  fields
	params url.Values
}

// refusals has every reason that one event can be refused for.
func (c *scene) refusals() []refused {
	conversion := func(more fields) fields {
		return fields{"conversion": with(fields{"action": "purchase", "value_minor": 100, "currency": "EUR"}, more)}
	}
	query := func(pairs ...string) url.Values {
		values := url.Values{"type": {"conversion"}, "action": {"purchase"}, "value_minor": {"100"}, "currency": {"EUR"}}
		for i := 0; i < len(pairs); i += 2 {
			values.Set(pairs[i], pairs[i+1])
		}
		return values
	}
	tomorrow := time.Now().UTC().Add(25 * time.Hour).Format(time.RFC3339)
	return []refused{
		{"malformed", fields{}, query("type", "nothing")},
		{"malformed", fields{"visit": fields{}, "visitor_id": "a~b"}, query("visitor_id", "a~b")},
		{"malformed", conversion(fields{"action": "Purchase!"}), query("action", "Purchase!")},
		{"malformed", conversion(fields{"value_minor": 2_000_000_000_000_000}), query("value_minor", "2000000000000000")},
		{"unknown_link", fields{"visit": fields{}, "link": "nowhere"}, query("link", "nowhere")},
		{"unknown_placement", fields{"impression": fields{}, "placement": "nowhere"}, query("placement", "nowhere")},
		{"agreement_mismatch", fields{"visit": fields{}, "link": c.link("ana"), "placement": "ben-post"}, query("link", c.link("ana"), "placement", "ben-post")},
		{"future_event", fields{"visit": fields{}, "event_time": tomorrow}, query("event_time", tomorrow)},
		{"event_too_large", fields{"visit": fields{}, "page_url": "https://shop.example/" + strings.Repeat("x", 17<<10)}, query("page_url", strings.Repeat("x", 17<<10))},
		{"negative_value", conversion(fields{"value_minor": -1}), query("value_minor", "-1")},
		{"unknown_currency", conversion(fields{"currency": "ABC"}), query("currency", "ABC")},
		{"missing_currency", conversion(fields{"currency": nil}), query("currency", "")},
		{"placeholder_id", fields{"visit": fields{}, "visitor_id": "undefined"}, query("visitor_id", "undefined")},
		{"email_in_id", fields{"visit": fields{}, "user_key": "jo@shop.example"}, query("order_id", "jo@shop.example")},
		{"phone_in_user_key", fields{"visit": fields{}, "user_key": "+49 170 1234567"}, query("user_key", "+491701234567")},
		{"stamps_not_allowed", fields{"visit": fields{}, "stamps": fields{"source": "server"}}, nil},
	}
}

// reasons of DESIGN 11; TestContract has asked for all of them when it ends.
const reasons = "malformed, unknown_key, revoked_key, wrong_scope, origin_refused, unknown_link, unknown_placement, agreement_mismatch, future_event, " +
	"event_too_large, batch_too_large, negative_value, unknown_currency, missing_currency, placeholder_id, email_in_id, phone_in_user_key, stamps_not_allowed"

// TestContract holds the running binary to its published interface: names, statuses, shapes, limits and reasons.
func TestContract(t *testing.T) {
	s := start(t, t.TempDir(), "--collector-refusal-interval=1s")
	c := newScene(t, s, "contract")
	keys := c.keys(t)
	t.Run("reasons by JSON", func(t *testing.T) { c.testReasonsByJSON(t, keys) })
	t.Run("reasons by pixel and postback", func(t *testing.T) { c.testReasonsByQuery(t, keys) })
	t.Run("reasons by gRPC", func(t *testing.T) { c.testReasonsByGRPC(t, keys) })
	t.Run("keys", func(t *testing.T) { c.testKeys(t, keys) })
	t.Run("batches", func(t *testing.T) { c.testBatches(t) })
	t.Run("JSON", func(t *testing.T) { c.testJSON(t) })
	t.Run("redirect", func(t *testing.T) { c.testRedirect(t) })
	t.Run("browsers of other origins", func(t *testing.T) { c.testOrigins(t, keys) })
	t.Run("reports", func(t *testing.T) { c.testReportParameters(t) })
	t.Run("gRPC", func(t *testing.T) { c.testGRPC(t, keys) })
	t.Run("registry in parallel", func(t *testing.T) { c.testRegistryInParallel(t) })
	t.Run("description", func(t *testing.T) { c.testDescription(t) })
	t.Run("every reason is counted", func(t *testing.T) { c.testEveryReasonIsCounted(t) })
	if status := s.terminate(t); status != 0 {
		t.Errorf("SIGTERM: exit status %d", status)
	}
}

// keys makes one key of each fate, by the reason that requests with it are refused for; "" is one that only collects.
func (c *scene) keys(t *testing.T) map[string]string {
	t.Helper()
	made := map[string]string{"unknown_key": "ats_nobody_has_this_key_01"}
	for name, key := range map[string]fields{
		"":               {"key_id": "collector", "kind": "secret", "scopes": []string{"collect"}},
		"wrong_scope":    {"key_id": "reader", "kind": "secret", "scopes": []string{"read"}},
		"origin_refused": {"key_id": "bound", "kind": "web", "origins": []string{"https://shop.example", "https://*.shop.example"}},
		"revoked_key":    {"key_id": "gone", "kind": "secret", "scopes": []string{"collect"}},
	} {
		status, body := c.request(t, http.MethodPost, "/v1/keys", key, nil)
		var answer struct{ Key string }
		if err := json.Unmarshal(body, &answer); err != nil || status != http.StatusOK || answer.Key == "" {
			t.Fatalf("making key %v: %d %s", key, status, body)
		}
		made[name] = answer.Key
	}
	if status, body := c.request(t, http.MethodPut, "/v1/keys/gone", fields{"revoked": true, "replaces_version": 1}, nil); status != http.StatusOK {
		t.Fatalf("revoking: %d %s", status, body)
	}
	return made
}

func bearer(key string) map[string]string { return map[string]string{"Authorization": "Bearer " + key} }

// testReasonsByJSON sends one event of each fate between two good ones.
func (c *scene) testReasonsByJSON(t *testing.T, keys map[string]string) {
	var events []fields
	var want []string
	for i, r := range c.refusals() {
		events = append(events, fields{"event_id": fmt.Sprintf("good-json-%d", i), "visit": fields{}}, with(maps.Clone(r.event), fields{"event_id": fmt.Sprintf("bad-json-%d", i)}))
		want = append(want, "ok ", "refused "+r.reason)
	}
	status, _, body := c.exchange(t, http.MethodPost, "/v1/events", fields{"events": events}, bearer(keys[""]))
	if status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	var answer struct {
		Results []map[string]string `json:"results"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		t.Fatal(err)
	}
	var got []string
	for i, r := range answer.Results {
		got = append(got, r["status"]+" "+r["reason"])
		if (r["status"] == "refused") != (r["detail"] != "") {
			t.Errorf("%v: a refusal says what to do, and nothing else does", r)
		}
		if i%2 == 0 && r["event_id"] != fmt.Sprintf("good-json-%d", i/2) {
			t.Errorf("result %d is of %q", i, r["event_id"])
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
}

// testReasonsByQuery sends the same through the ways that take one event at a time.
func (c *scene) testReasonsByQuery(t *testing.T, keys map[string]string) {
	for _, r := range c.refusals() {
		if r.params == nil {
			continue
		}
		r.params.Set("key", keys[""])
		if got := c.pixel(t, r.params, nil); got != "refused; reason="+r.reason {
			t.Errorf("pixel %.80s: %s, want %s", r.params.Encode(), got, r.reason)
		}
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			status, results, whole := c.postbackBy(t, method, r.params)
			if r.reason == "event_too_large" {
				if status != http.StatusRequestEntityTooLarge || whole != r.reason {
					t.Errorf("%s postback of 17 KiB: %d %s", method, status, whole)
				}
				continue
			}
			if status != http.StatusOK || results != "refused "+r.reason {
				t.Errorf("%s postback %.80s: %d %s, want %s", method, r.params.Encode(), status, results, r.reason)
			}
		}
	}
}

// pixel asks for the image, which always comes, and returns what became of its event.
func (c *scene) pixel(t *testing.T, params url.Values, headers map[string]string) string {
	t.Helper()
	status, header, body := c.exchange(t, http.MethodGet, "/v1/pixel.gif?"+params.Encode(), nil, headers)
	if status != http.StatusOK || header.Get("Content-Type") != "image/gif" || len(body) != 43 || string(body[:6]) != "GIF89a" ||
		header.Get("Cache-Control") != "no-store" || header.Get("Set-Cookie") != "" {
		t.Errorf("pixel %.80s: %d %v", params.Encode(), status, header)
	}
	return header.Get("Aftertouch-Status")
}

// postbackBy returns the status, what became of the event, and the reason when the request as a whole was refused.
func (c *scene) postbackBy(t *testing.T, method string, params url.Values) (status int, result, reason string) {
	t.Helper()
	path, form, headers := "/v1/postback?"+params.Encode(), any(nil), map[string]string(nil)
	if method == http.MethodPost {
		path, form, headers = "/v1/postback", params.Encode(), map[string]string{"Content-Type": "application/x-www-form-urlencoded"}
	}
	status, _, body := c.exchange(t, method, path, form, headers)
	var answer struct {
		Results []struct{ Status, Reason string }
		Reason  string
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		t.Fatalf("%s postback: %d %s", method, status, body)
	}
	if len(answer.Results) == 1 {
		result = answer.Results[0].Status + " " + answer.Results[0].Reason
	}
	return status, result, answer.Reason
}

// testEveryReasonIsCounted looks for all reasons in health and in the metrics (E7).
func (c *scene) testEveryReasonIsCounted(t *testing.T) {
	_, _, metrics := c.exchange(t, http.MethodGet, "/metrics", nil, nil)
	for _, reason := range strings.Split(reasons, ", ") {
		if !strings.Contains(string(metrics), `reason="`+reason+`"`) {
			t.Errorf("no metric counts %s", reason)
		}
		if reason != "unknown_key" { // nobody's
			await(t, reason+" in health", "counted", func() string {
				if strings.Contains(c.health(t, "refused"), " "+reason+" ") {
					return "counted"
				}
				return c.health(t, "refused")
			})
		}
	}
	if !strings.Contains(c.health(t, "accepted"), "visit") {
		t.Error("the good events of the batches are not counted")
	}
}
