package registry

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/apijson"
)

// http serves the fixture's service as the binary does.
func (f *fixture) http() http.Handler {
	mux := runtime.NewServeMux(runtime.WithMarshalerOption(runtime.MIMEWildcard, apijson.NewMarshaler(nil)), runtime.WithErrorHandler(apijson.HandleError))
	if err := aftertouchv1.RegisterRegistryServiceHandlerServer(f.t.Context(), mux, f.service); err != nil {
		f.t.Fatal(err)
	}
	return mux
}

func TestJSONOverHTTP(t *testing.T) {
	f := newFixture(t)
	handler := f.http()
	for _, tc := range []struct {
		name, key, method, path, body string
		status                        int
		want                          map[string]any
	}{
		{
			"create a creator", f.keys.AdminKey, "POST", "/v1/creators", `{"creator_id":"mia","name":"Mia","kind":"publisher"}`, 200,
			map[string]any{"creator_id": "mia", "kind": "publisher", "version": 1.0},
		},
		{"taken", f.keys.AdminKey, "POST", "/v1/creators", `{"creatorId":"mia"}`, 409, map[string]any{"reason": "already_exists"}},
		{"change", f.keys.AdminKey, "PUT", "/v1/creators/mia", `{"replaces_version":1,"name":"Mia B"}`, 200, map[string]any{"version": 2.0, "kind": "creator"}},
		{"change again", f.keys.AdminKey, "PUT", "/v1/creators/mia", `{"replaces_version":1,"name":"Mia C"}`, 409, map[string]any{"reason": "version_conflict"}},
		{"old version", f.keys.AdminKey, "GET", "/v1/creators/mia?version=1", "", 200, map[string]any{"name": "Mia"}},
		{"missing", f.keys.AdminKey, "GET", "/v1/creators/leo", "", 404, map[string]any{"reason": "not_found"}},
		{
			"campaign", f.keys.AdminKey, "POST", "/v1/campaigns",
			`{"campaign_id":"spring","start":"2026-03-01T00:00:00Z","end":"2026-04-01T00:00:00Z","currency":"EUR","half_life":"86400s","counting":{"purchase":"every"},"time_zone":"Europe/Berlin"}`, 200,
			map[string]any{"half_life": "86400s", "time_zone": "Europe/Berlin"},
		},
		{
			"agreement", f.keys.AdminKey, "POST", "/v1/agreements",
			`{"agreement_id":"a","campaign_id":"spring","creator_id":"mia","relation":"paid","objective":{"action":"purchase","target_count":"100"},"windows":{"click":"604800s"}}`, 200,
			map[string]any{"effective_from": "2026-03-01T00:00:00Z", "relation": "paid"},
		},
		{"link", f.keys.AdminKey, "POST", "/v1/links", `{"link_id":"l","agreement_id":"a","target_url":"https://shop.example"}`, 200, map[string]any{"revoked": false}},
		{"code", f.keys.AdminKey, "POST", "/v1/codes", `{"code":"mia 10%","agreement_id":"a"}`, 200, map[string]any{"code": "MIA 10%"}},
		{"code again", f.keys.AdminKey, "PUT", "/v1/codes/mia%2010%25", `{"replaces_version":1,"revoked":true}`, 200, map[string]any{"code": "MIA 10%", "revoked": true, "agreement_id": "a"}},
		{"bad window", f.keys.AdminKey, "PUT", "/v1/agreements/a", `{"replaces_version":1,"windows":{"click":"60s"}}`, 400, map[string]any{"reason": "invalid_argument"}},
		{"bad enum", f.keys.AdminKey, "POST", "/v1/creators", `{"kind":"robot"}`, 400, nil},
		{"bad JSON", f.keys.AdminKey, "POST", "/v1/creators", `{"kind":`, 400, nil},
		{"no key", "", "GET", "/v1/creators", "", 401, map[string]any{"reason": "unknown_key"}},
		{"web key", f.keys.WebKey, "GET", "/v1/creators", "", 403, map[string]any{"reason": "wrong_scope"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			req := httptest.NewRequestWithContext(t.Context(), tc.method, tc.path, strings.NewReader(tc.body))
			req.Header.Set("Content-Type", "application/json")
			if tc.key != "" {
				req.Header.Set("Authorization", "Bearer "+tc.key)
			}
			res := httptest.NewRecorder()
			handler.ServeHTTP(res, req)
			if res.Code != tc.status {
				t.Fatalf("status %d, want %d: %s", res.Code, tc.status, res.Body)
			}
			var got map[string]any
			if err := json.Unmarshal(res.Body.Bytes(), &got); err != nil {
				t.Fatalf("%v: %s", err, res.Body)
			}
			for k, want := range tc.want {
				if got[k] != want {
					t.Errorf("%s is %v, want %v in %s", k, got[k], want, res.Body)
				}
			}
		})
	}
}
