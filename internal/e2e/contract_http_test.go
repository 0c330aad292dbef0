package e2e

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// testKeys uses keys that do not do, by header and by parameter.
func (c *scene) testKeys(t *testing.T, keys map[string]string) {
	for reason, want := range map[string]int{"unknown_key": 401, "revoked_key": 401, "wrong_scope": 403, "origin_refused": 403} {
		headers := bearer(keys[reason])
		headers["Origin"] = "https://elsewhere.example"
		for _, path := range []string{"/v1/events", "/v1/postback?action=signup"} {
			status, _, body := c.exchange(t, http.MethodPost, path, fields{"events": []fields{{"visit": fields{}}}}, headers)
			if status != want || !strings.Contains(string(body), `"reason":"`+reason+`"`) {
				t.Errorf("%s with a key of %s: %d %s, want %d", path, reason, status, body, want)
			}
		}
		delete(headers, "Authorization")
		if got := c.pixel(t, url.Values{"key": {keys[reason]}}, headers); got != "refused; reason="+reason {
			t.Errorf("pixel with a key of %s: %s", reason, got)
		}
	}
	for name, ask := range map[string]func() int{
		"key as parameter": func() int {
			status, _, _ := c.exchange(t, http.MethodPost, "/v1/events?key="+c.web, fields{"events": []fields{{"visit": fields{}}}}, nil)
			return status
		},
		"key as header": func() int {
			status, _, _ := c.exchange(t, http.MethodPost, "/v1/events", fields{"events": []fields{{"visit": fields{}}}}, bearer(c.web))
			return status
		},
	} {
		if status := ask(); status != http.StatusOK {
			t.Errorf("%s: %d", name, status)
		}
	}
	// Only secret keys read, and only with the scope for it.
	for _, report := range []string{"performance", "exposure", "conversions", "receipt?order_id=1", "health"} {
		status, _, body := c.exchange(t, http.MethodGet, "/v1/reports/"+report, nil, bearer(c.web))
		if status != http.StatusForbidden || !strings.Contains(string(body), "wrong_scope") {
			t.Errorf("%s with a web key: %d %s", report, status, body)
		}
	}
	for report, want := range map[string]int{"performance": 200, "exposure": 200, "health": 200, "conversions": 403, "receipt?order_id=1": 403} {
		if status, _, body := c.exchange(t, http.MethodGet, "/v1/reports/"+report, nil, bearer(keys["wrong_scope"])); status != want {
			t.Errorf("%s with the scope read: %d %s, want %d", report, status, body, want)
		}
	}
}

// testBatches sends envelopes of every form.
func (c *scene) testBatches(t *testing.T) {
	visits := func(n int) string {
		return `{"events":[` + strings.TrimSuffix(strings.Repeat(`{"visit":{}},`, n), ",") + `]}`
	}
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	_, _ = w.Write([]byte(visits(2))) // into memory
	_ = w.Close()
	for _, tc := range []struct {
		name, body  string
		headers     map[string]string
		status, out int
		reason      string
	}{
		{"a thousand events", visits(1000), nil, 200, 1000, ""},
		{"one more", visits(1001), nil, 413, 0, "batch_too_large"},
		{"none", visits(0), nil, 200, 0, ""},
		{"a mebibyte", visits(0) + strings.Repeat(" ", 1<<20-len(visits(0))), nil, 200, 0, ""},
		{"a byte more", visits(0) + strings.Repeat(" ", 1<<20), nil, 413, 0, "batch_too_large"},
		{"as sendBeacon sends it", visits(1), map[string]string{"Content-Type": "text/plain;charset=UTF-8"}, 200, 1, ""},
		{"zipped", zipped.String(), map[string]string{"Content-Encoding": "gzip"}, 200, 2, ""},
		{"not zipped", visits(1), map[string]string{"Content-Encoding": "gzip"}, 400, 0, "malformed"},
		{"another type", visits(1), map[string]string{"Content-Type": "text/xml"}, 400, 0, "malformed"},
		{"no JSON", `{"events":[{"visit"`, nil, 400, 0, "malformed"},
		{"no list", `{"events":{}}`, nil, 400, 0, "malformed"},
		{"no envelope", `[{"visit":{}}]`, nil, 400, 0, "malformed"},
		{"nothing", " ", nil, 400, 0, "malformed"},
	} {
		headers := bearer(c.key)
		for name, value := range tc.headers {
			headers[name] = value
		}
		status, _, body := c.exchange(t, http.MethodPost, "/v1/events", tc.body, headers)
		var answer struct {
			Results        []struct{ Status string }
			Reason, Detail string
		}
		if err := json.Unmarshal(body, &answer); err != nil || status != tc.status || answer.Reason != tc.reason || (tc.reason == "") != (answer.Detail == "") || len(answer.Results) != tc.out {
			t.Errorf("%s: %d %.200s, want %d %q and %d results", tc.name, status, body, tc.status, tc.reason, tc.out)
		}
	}
}

// testJSON reads and writes JSON as the interface says: names, integers, enums, zero values, unknown fields.
func (c *scene) testJSON(t *testing.T) {
	unknown := func() float64 { return c.metric(t, "aftertouch_collector_unknown_fields_total") }
	before := unknown()
	c.post(t, nil,
		fields{"eventId": "camel", "visitorId": "json-v", "eventTime": c.at(0), "click": fields{}, "link": c.link("ana")},
		fields{
			"event_id": "text", "visitor_id": "json-v", "event_time": c.at(hour), "someday": 1,
			"conversion": fields{"action": "purchase", "orderId": "json", "valueMinor": "4900", "currency": "eur", "gift": true, "promoCodes": []string{}},
		})
	if n := unknown() - before; n != 2 {
		t.Errorf("%v unknown fields are counted, want 2", n)
	}
	c.awaitReceipt(t, "json", "attributed of visitor 4900EUR | click ana 1")
	for path, want := range map[string]string{
		"/v1/creators/ana":           `{"creator_id":"ana","version":1,"replaces_version":0,"name":"","kind":"creator"}`,
		"/v1/links/" + c.link("ben"): `{"link_id":"` + c.link("ben") + `","version":1,"replaces_version":0,"agreement_id":"ben","placement_id":"","target_url":"https://shop.example/","revoked":false}`,
		"/v1/codes/ana10":            `{"code":"ANA10","version":1,"replaces_version":0,"agreement_id":"ana","revoked":false}`,
	} {
		if status, body := c.request(t, http.MethodGet, path, nil, nil); status != http.StatusOK || string(body) != want {
			t.Errorf("%s: %d %s, want %s", path, status, body, want)
		}
	}
	_, body := c.request(t, http.MethodGet, "/v1/reports/receipt?action=purchase&order_id=json", nil, nil)
	for _, part := range []string{`"value_minor":"4900"`, `"order_scope":""`, `"revision":`, `"age_s":"3600"`, `"omitted":{}`, `"status":"attributed"`} {
		if !bytes.Contains(body, []byte(part)) {
			t.Errorf("the receipt lacks %s: %s", part, body)
		}
	}
	for method, want := range map[string]string{http.MethodDelete: "method_not_allowed", http.MethodPatch: "method_not_allowed"} {
		if status, body := c.request(t, method, "/v1/creators/ana", nil, nil); status != http.StatusMethodNotAllowed || !strings.Contains(string(body), want) {
			t.Errorf("%s: %d %s", method, status, body)
		}
	}
}

func (c *scene) metric(t *testing.T, name string) float64 {
	t.Helper()
	_, _, body := c.exchange(t, http.MethodGet, "/metrics", nil, nil)
	for line := range strings.Lines(string(body)) {
		var value float64
		if n, _ := fmt.Sscanf(line, name+" %g", &value); n == 1 {
			return value
		}
	}
	t.Errorf("there is no metric %s", name)
	return 0
}

// testRedirect follows links that are there and that are not.
func (c *scene) testRedirect(t *testing.T) {
	c.register(t, "links", fields{"link_id": "deep", "agreement_id": "ana", "target_url": "https://shop.example/a?b=c#d"})
	status, header, _ := c.exchange(t, http.MethodGet, "/c/deep?url=https://elsewhere.example", nil, nil)
	target := header.Get("Location")
	if status != http.StatusFound || !strings.HasPrefix(target, "https://shop.example/a?b=c&at_click=") || !strings.HasSuffix(target, "#d") || header.Get("Set-Cookie") != "" {
		t.Errorf("the link: %d %v", status, header)
	}
	for name, headers := range map[string]map[string]string{"/c/deep?at_consent=denied": nil, "/c/deep": {"Sec-Gpc": "1"}} {
		if status, header, _ := c.exchange(t, http.MethodGet, name, nil, headers); status != http.StatusFound || header.Get("Location") != "https://shop.example/a?b=c#d" {
			t.Errorf("%s of who refuses: %d %v", name, status, header)
		}
	}
	if status, _ := c.request(t, http.MethodPut, "/v1/links/deep", fields{"agreement_id": "ana", "target_url": "https://shop.example/", "revoked": true, "replaces_version": 1}, nil); status != http.StatusOK {
		t.Fatalf("revoking the link: %d", status)
	}
	for _, path := range []string{"/c/deep", "/c/nowhere", "/c/nowhere?info"} {
		if status, _, body := c.exchange(t, http.MethodGet, path, nil, nil); status != http.StatusNotFound || !strings.Contains(string(body), "unknown_link") {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	_, header, script := c.exchange(t, http.MethodGet, "/at.js", nil, nil)
	if !strings.HasPrefix(header.Get("Content-Type"), "text/javascript") || !bytes.Contains(script, []byte("at_click")) || !bytes.Contains(script, []byte("aftertouch")) {
		t.Errorf("at.js: %v", header)
	}
}

// testOrigins asks as browsers do before and when they send to another origin.
func (c *scene) testOrigins(t *testing.T, keys map[string]string) {
	for origin, allowed := range map[string]bool{
		"https://shop.example": true, "https://www.shop.example": true, "https://elsewhere.example": false, "http://shop.example": false,
		"https://shop.example.elsewhere.example": false, "null": false,
	} {
		path, want := "/v1/events?key="+keys["origin_refused"], ""
		if allowed {
			want = origin
		}
		status, header, _ := c.exchange(t, http.MethodOptions, path, nil, map[string]string{"Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"})
		if status != http.StatusNoContent || header.Get("Access-Control-Allow-Origin") != want || !strings.Contains(strings.ToLower(header.Get("Access-Control-Allow-Headers")), "content-type") {
			t.Errorf("preflight of %s: %d %v", origin, status, header)
		}
		status, header, _ = c.exchange(t, http.MethodPost, path, fields{"events": []fields{{"visit": fields{}}}}, map[string]string{"Origin": origin})
		if (status == http.StatusOK) != allowed || header.Get("Access-Control-Allow-Origin") != want {
			t.Errorf("events from %s: %d %v", origin, status, header)
		}
		got := c.pixel(t, url.Values{"key": {keys["origin_refused"]}}, map[string]string{"Referer": origin + "/page"})
		if (got == "ok") != allowed {
			t.Errorf("pixel on a page of %s: %s", origin, got)
		}
	}
}

// testReportParameters asks for reports that cannot be made.
func (c *scene) testReportParameters(t *testing.T) {
	for query, want := range map[string]string{
		"performance?campaign=nowhere": "404 not_found campaign", "exposure?creator=nobody": "404 not_found creator", "receipt?order_id=none": "404 not_found",
		"nothing": "404 not_found", "performance?from=yesterday": "400 invalid_argument from", "performance?to=2026-13-01": "400 invalid_argument to",
		"performance?tz=Mars": "400 invalid_argument tz", "performance?model=best": "400 invalid_argument model", "performance?basis=x": "400 invalid_argument basis",
		"exposure?within=soon": "400 invalid_argument within", "conversions?format=xml": "400 invalid_argument format", "performance?by=moon": "400 invalid_argument by",
		"conversions?limit=-1": "400 invalid_argument limit", "performance?action=A!": "400 invalid_argument action", "performance?as_of=2026-01-01": "400 invalid_argument as_of",
		"receipt": "400 invalid_argument order_id",
	} {
		status, body := c.request(t, http.MethodGet, "/v1/reports/"+query, nil, nil)
		got := fmt.Sprint(status, " ", string(body))
		for _, word := range strings.Fields(want) {
			if !strings.Contains(got, word) {
				t.Errorf("%s: %s, want %s", query, got, want)
			}
		}
	}
}

// testRegistryInParallel changes one object from many sides: one wins, the others hear of it.
func (c *scene) testRegistryInParallel(t *testing.T) {
	const writers = 12
	statuses := make([]int, 2*writers)
	var all sync.WaitGroup
	for i := range writers {
		all.Go(func() {
			statuses[i], _ = c.request(t, http.MethodPost, "/v1/creators", fields{"creator_id": fmt.Sprintf("p-%d", i)}, nil)
			statuses[writers+i], _ = c.request(t, http.MethodPut, "/v1/creators/ben", fields{"name": fmt.Sprint(i), "replaces_version": 1}, nil)
		})
	}
	all.Wait()
	count := map[int]int{}
	for _, status := range statuses[writers:] {
		count[status]++
	}
	for i, status := range statuses[:writers] {
		if status != http.StatusOK {
			t.Errorf("creator %d: %d", i, status)
		}
	}
	if count[http.StatusOK] != 1 || count[http.StatusConflict] != writers-1 {
		t.Errorf("one version written %d times at once: %v", writers, count)
	}
}

// testDescription calls everything that /openapi.json describes: it is there.
func (c *scene) testDescription(t *testing.T) {
	var described struct {
		Swagger string
		Paths   map[string]map[string]json.RawMessage
	}
	status, body := c.request(t, http.MethodGet, "/openapi.json", nil, nil)
	if err := json.Unmarshal(body, &described); err != nil || status != http.StatusOK || described.Swagger != "2.0" || len(described.Paths) < 30 {
		t.Fatalf("/openapi.json: %d %v %d paths", status, err, len(described.Paths))
	}
	for path, methods := range described.Paths {
		for method := range methods {
			status, body := c.request(t, strings.ToUpper(method), strings.NewReplacer("{", "no-", "}", "").Replace(path), nil, nil)
			missing := status == http.StatusNotFound && !strings.Contains(string(body), "there is no ")
			if missing || status == http.StatusMethodNotAllowed || status >= http.StatusInternalServerError {
				t.Errorf("%s %s is described and not served: %d %s", method, path, status, body)
			}
		}
	}
}
