package e2e

import (
	"net/http"
	"strings"
	"testing"
)

// TestMistakesAreAnsweredInOneShape asks for what is not there and for what is not allowed.
func TestMistakesAreAnsweredInOneShape(t *testing.T) {
	s := start(t, t.TempDir())
	agree(t, s)
	for _, tc := range []struct {
		name, method, path string
		body               any
		status             int
		reason             string
	}{
		{"no such campaign", http.MethodGet, "/v1/campaigns/nope", nil, 404, "not_found"},
		{"a report on no such campaign", http.MethodGet, "/v1/reports/performance?campaign=nope", nil, 404, ""},
		{"an agreement without a campaign", http.MethodPost, "/v1/agreements", map[string]any{"campaign_id": "nope", "creator_id": "ana"}, 400, ""},
		{"a stale version", http.MethodPut, "/v1/creators/ana", map[string]any{"replaces_version": 7, "name": "B"}, 409, "version_conflict"},
		{"no such path", http.MethodGet, "/v1/nothing", nil, 404, ""},
		{"not JSON", http.MethodPost, "/v1/creators", "text", 400, ""},
		{"no such link", http.MethodGet, "/c/nope", nil, 404, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			status, body := s.try(t, tc.method, tc.path, tc.body)
			if status != tc.status || !strings.Contains(string(body), `"reason":"`+tc.reason) {
				t.Errorf("%s %s: %d %s, want %d and reason %q", tc.method, tc.path, status, body, tc.status, tc.reason)
			}
		})
	}
	for path, want := range map[string]int{"/v1/creators": 401, "/v1/reports/performance": 401, "/healthz": 200, "/ready": 200, "/openapi.json": 200, "/metrics": 200, "/at.js": 200} {
		response, err := http.Get(s.http + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("GET %s without a key: %d, want %d", path, response.StatusCode, want)
		}
	}
}
