package e2e

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	// reportTimeout is how long a report may lag behind what was acknowledged before the test gives up.
	reportTimeout = 60 * time.Second
	shop          = "https://shop.example/landing?ref=1"
)

// figures are the parts of the report performance that the test knows.
type figures struct {
	Impressions, Viewable, Clicks, Exposed, Acted string
	LastTouch, Value                              string
	Total, Attributed                             string
}

// TestFromPixelToReport takes a browser's life through the pipe and back: what was seen, clicked and bought is in the reports,
// also after the process has been stopped and started.
func TestFromPixelToReport(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir)
	agree(t, s)
	live(t, s)
	want := figures{
		Impressions: "1", Viewable: "0", Clicks: "1", Exposed: "1", Acted: "1",
		LastTouch: "1.000000000", Value: "4900", Total: "1.000000000", Attributed: "1.000000000",
	}
	s.await(t, want)
	s.checkReceipt(t)
	s.checkReportCommand(t)

	second := spawn(t, "all", "--data-dir", dir)
	if status := second.wait(t); status == 0 || !strings.Contains(second.log(), dir) {
		t.Errorf("a second process on the same data directory ended with %d, want a refusal that names it:\n%s", status, second.log())
	}
	if status := s.terminate(t); status != 0 {
		t.Fatalf("SIGTERM: exit status %d\n%s", status, s.log())
	}

	s = start(t, dir)
	s.await(t, want)
	s.checkReceipt(t)
	if status := s.terminate(t); status != 0 {
		t.Fatalf("SIGTERM after a restart: exit status %d", status)
	}

	other := strings.Repeat("ab", 32) + "\n"
	if err := os.WriteFile(filepath.Join(dir, "master.key"), []byte(other), 0o600); err != nil {
		t.Fatal(err)
	}
	wrong := spawn(t, "all", "--data-dir", dir)
	if status := wrong.wait(t); status == 0 || !strings.Contains(wrong.log(), "wrong master key") {
		t.Errorf("with another master key the process ended with %d, want a refusal:\n%s", status, wrong.log())
	}
}

// agree registers a campaign with one creator.
func agree(t testing.TB, s *server) {
	t.Helper()
	now := time.Now().UTC()
	for _, object := range []struct {
		path string
		body map[string]any
	}{
		{"/v1/creators", map[string]any{"creator_id": "ana", "name": "Ana", "kind": "creator"}},
		{"/v1/campaigns", map[string]any{
			"campaign_id": "spring", "name": "Spring", "currency": "EUR",
			"start": now.Add(-48 * time.Hour).Format(time.RFC3339), "end": now.Add(48 * time.Hour).Format(time.RFC3339),
		}},
		{"/v1/agreements", map[string]any{"agreement_id": "ana-spring", "campaign_id": "spring", "creator_id": "ana", "relation": "paid"}},
		{"/v1/placements", map[string]any{"placement_id": "ana-post", "agreement_id": "ana-spring", "kind": "post"}},
		{"/v1/links", map[string]any{"link_id": "ana1", "agreement_id": "ana-spring", "placement_id": "ana-post", "target_url": shop}},
	} {
		var got map[string]any
		s.call(t, http.MethodPost, object.path, object.body, &got, http.StatusOK)
		if got["version"] != 1.0 {
			t.Errorf("POST %s answered %v, want version 1", object.path, got)
		}
		if status, body := s.try(t, http.MethodPost, object.path, object.body); status != http.StatusConflict {
			t.Errorf("POST %s again: %d %s, want 409", object.path, status, body)
		}
	}
}

// live sees the creator's post, follows the link, and buys.
func live(t testing.TB, s *server) {
	t.Helper()
	response, err := http.Get(s.http + "/v1/pixel.gif?" + url.Values{
		"key": {webKey}, "type": {"impression"}, "visitor_id": {"browser-1"}, "placement": {"ana-post"},
	}.Encode())
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "image/gif" || response.Header.Get("Aftertouch-Status") != "ok" {
		t.Fatalf("the pixel answered %d %v", response.StatusCode, response.Header)
	}

	token := s.follow(t)
	results := s.send(t,
		map[string]any{"event_id": "landing-1", "visitor_id": "browser-1", "click_id": token, "visit": map[string]any{"session_start": true}},
		map[string]any{"event_id": "buy-1", "visitor_id": "browser-1", "conversion": map[string]any{
			"action": "purchase", "order_id": "order-1", "value_minor": 4900, "currency": "EUR",
		}},
		map[string]any{"event_id": "bad-1", "visitor_id": "browser-1", "conversion": map[string]any{
			"action": "purchase", "order_id": "order-2", "value_minor": -1, "currency": "EUR",
		}},
	)
	if diff := cmp.Diff([]string{"landing-1 ok ", "buy-1 ok ", "bad-1 refused negative_value"}, results); diff != "" {
		t.Fatalf("results (-want +got):\n%s", diff)
	}
}

// follow follows the creator's link and returns the click's token.
func (s *server) follow(t testing.TB) string {
	t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Get(s.http + "/c/ana1")
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	location, err := response.Location()
	if err != nil || response.StatusCode != http.StatusFound {
		t.Fatalf("the link answered %d: %v", response.StatusCode, err)
	}
	token := location.Query().Get("at_click")
	if token == "" || !strings.HasPrefix(location.String(), "https://shop.example/landing") || location.Query().Get("ref") != "1" {
		t.Fatalf("the link leads to %s", location)
	}
	return token
}

// send posts events and returns one line for each.
func (s *server) send(t testing.TB, events ...map[string]any) []string {
	t.Helper()
	var answer struct {
		Results []struct {
			EventID string `json:"event_id"`
			Status  string `json:"status"`
			Reason  string `json:"reason"`
		} `json:"results"`
	}
	s.call(t, http.MethodPost, "/v1/events", map[string]any{"events": events}, &answer, http.StatusOK)
	var lines []string
	for _, r := range answer.Results {
		lines = append(lines, r.EventID+" "+r.Status+" "+r.Reason)
	}
	return lines
}

// await polls the report until it says what it must.
func (s *server) await(t testing.TB, want figures) {
	t.Helper()
	deadline := time.Now().Add(reportTimeout)
	for {
		got, body := s.performance(t)
		if got == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the report has not become complete (-want +got):\n%s\n%s", cmp.Diff(want, got), body)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (s *server) performance(t testing.TB) (figures, []byte) {
	t.Helper()
	var report struct {
		Rows []struct {
			Campaign, Creator                             string
			Impressions, Viewable, Clicks, Exposed, Acted string
			Credits                                       []struct {
				Model, Currency, Conversions string
				Value                        string `json:"value_minor"`
			}
		}
		Totals map[string]struct {
			Total, Attributed struct{ Conversions string }
		}
	}
	status, body := s.try(t, http.MethodGet, "/v1/reports/performance?campaign=spring", nil)
	if status != http.StatusOK {
		t.Fatalf("performance: %d %s", status, body)
	}
	if err := json.Unmarshal(body, &report); err != nil {
		t.Fatalf("performance: %v in %s", err, body)
	}
	if len(report.Rows) != 1 {
		return figures{}, body
	}
	row, total := report.Rows[0], report.Totals["EUR"]
	got := figures{
		Impressions: row.Impressions, Viewable: row.Viewable, Clicks: row.Clicks, Exposed: row.Exposed, Acted: row.Acted,
		Total: total.Total.Conversions, Attributed: total.Attributed.Conversions,
	}
	for _, credit := range row.Credits {
		if credit.Model == "last_touch" && credit.Currency == "EUR" {
			got.LastTouch, got.Value = credit.Conversions, credit.Value
		}
	}
	return got, body
}

// checkReceipt reads why the order is credited.
func (s *server) checkReceipt(t testing.TB) {
	t.Helper()
	var receipt struct {
		Conversion struct{ Status string }
		PersonKind string `json:"person_kind"`
		Touches    []struct {
			Kind, Creator, Reason string
			Eligible              bool
		}
	}
	s.call(t, http.MethodGet, "/v1/reports/receipt?action=purchase&order_id=order-1", nil, &receipt, http.StatusOK)
	if receipt.Conversion.Status != "attributed" || receipt.PersonKind != "visitor" {
		t.Errorf("the receipt says %+v", receipt)
	}
	var click, impression bool
	for _, touch := range receipt.Touches {
		click = click || touch.Kind == "click" && touch.Eligible && touch.Creator == "ana"
		impression = impression || touch.Kind == "impression" && !touch.Eligible && touch.Reason != ""
	}
	if !click || !impression {
		t.Errorf("the receipt lacks the eligible click or the impression with its reason: %+v", receipt.Touches)
	}
}

// checkReportCommand prints a report in each form, and one that does not exist.
func (s *server) checkReportCommand(t *testing.T) {
	t.Helper()
	for _, tc := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{"performance", "--format=table"}, 0, "│ spring   │ ana     │"},
		{[]string{"performance", "--format=csv"}, 0, "\nspring,ana,"},
		{[]string{"exposure", "--format=json", "--creator=ana"}, 0, `"acted": "1"`},
		{[]string{"receipt", "--action=purchase", "--order-id=order-1"}, 0, "attributed"},
		{[]string{"performance", "--campaign=nope"}, 1, "not_found"},
		{[]string{"weather"}, 1, "there is no report"},
	} {
		report := launch(t, append([]string{"report", "--grpc-addr", s.grpc, "--key", adminKey}, tc.args...)...)
		if status := report.wait(t); status != tc.status || !strings.Contains(report.log(), tc.want) {
			t.Errorf("report %v: exit status %d, want %d and %q:\n%s", tc.args, status, tc.status, tc.want, report.log())
		}
	}
}
