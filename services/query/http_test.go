package query_test

import (
	"encoding/csv"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/status"
)

// wantError checks an error's code and that its text holds the reason and the hint.
func wantError(t *testing.T, err error, code, reason, hint string) {
	t.Helper()
	s := status.Convert(err)
	if s.Code().String() != code || !strings.HasPrefix(s.Message(), reason+": ") || !strings.Contains(s.Message(), hint) {
		t.Errorf("error %v, want code %s, reason %s and %q in its text", err, code, reason, hint)
	}
}

// get asks for an address with a key, and returns the answer's status, header and body.
func (w *world) get(key, path string) (int, http.Header, string) {
	w.t.Helper()
	request, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.http.URL+path, nil)
	must(w.t, err)
	if key != "" {
		request.Header.Set("Authorization", "Bearer "+key)
	}
	answer, err := w.http.Client().Do(request)
	must(w.t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	must(w.t, err)
	return answer.StatusCode, answer.Header, string(body)
}

func TestBadParametersAreRefusedWithARemedy(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		key, path string
		status    int
		reason    string
		hint      string
	}{
		{"", "performance", 401, "unknown_key", "Bearer"},
		{"ats_another_key_0123456789012345", "performance", 401, "unknown_key", ""},
		{revoked, "performance", 401, "revoked_key", ""},
		{webKey, "performance", 403, "wrong_scope", ""},
		{webKey, "performance?format=csv", 403, "wrong_scope", ""},
		{readKey, "conversions", 403, "wrong_scope", ""},
		{readKey, "receipt?order_id=1", 403, "wrong_scope", ""},
		{readKey, "nonsense", 404, "not_found", "performance"},
		{readKey, "performance?campaign=nonsense", 404, "not_found", `campaign \"nonsense\"`},
		{readKey, "exposure?creator=nonsense", 404, "not_found", `creator \"nonsense\"`},
		{adminKey, "receipt?order_id=nonsense", 404, "not_found", "no such conversion"},
		{adminKey, "receipt", 400, "invalid_argument", "order_id: "},
		{adminKey, "receipt?order_id=1&event_id=2", 400, "invalid_argument", "event_id: "},
		{readKey, "performance?from=yesterday", 400, "invalid_argument", "from: "},
		{readKey, "performance?to=2026-13-01", 400, "invalid_argument", "to: "},
		{readKey, "performance?from=2026-02-01&to=2026-02-01", 400, "invalid_argument", "from: "},
		{readKey, "performance?from=1969-01-01&to=2026-02-01", 400, "invalid_argument", "from: "},
		{readKey, "performance?to=2190-01-01", 400, "invalid_argument", "to: "},
		{readKey, "performance?tz=Local", 400, "invalid_argument", "tz: "},
		{readKey, "performance?tz=Mars/Olympus", 400, "invalid_argument", "tz: "},
		{readKey, "performance?tz=%27%29--", 400, "invalid_argument", "tz: "},
		{readKey, "performance?model=best", 400, "invalid_argument", "first_touch, last_touch"},
		{readKey, "performance?basis=both", 400, "invalid_argument", "conversion or touch"},
		{readKey, "performance?by=moon", 400, "invalid_argument", "campaign, creator, placement, link, day"},
		{readKey, "exposure?by=day", 400, "invalid_argument", "campaign, creator"},
		{readKey, "exposure?within=soon", 400, "invalid_argument", "30d"},
		{readKey, "exposure?within=-1h", 400, "invalid_argument", "30d"},
		{readKey, "performance?limit=-1", 400, "invalid_argument", "limit: "},
		{readKey, "performance?limit=100001", 400, "invalid_argument", "limit: "},
		{readKey, "performance?limit=many", 400, "invalid_argument", "limit"},
		{readKey, "performance?limit=many&format=csv", 400, "invalid_argument", "limit"},
		{readKey, "performance?format=xml", 400, "invalid_argument", "json or csv"},
		{readKey, "performance?action=%27", 400, "invalid_argument", "action: "},
		{readKey, "performance?creators=ann", 400, "invalid_argument", "creators: "},
		{readKey, "performance?as_of=2026-04-01&format=csv", 400, "invalid_argument", "as_of: "},
	} {
		code, _, body := w.get(c.key, "/v1/reports/"+c.path)
		if code != c.status || !strings.Contains(body, `"reason":"`+c.reason+`"`) || !strings.Contains(body, c.hint) {
			t.Errorf("%s with key %q: %d %s, want %d, %s and %q", c.path, c.key, code, body, c.status, c.reason, c.hint)
		}
	}
}

func TestReportsAreJSONAsTheDesignHasIt(t *testing.T) {
	w := campaignWorld(t)
	code, header, body := w.get(readKey, "/v1/reports/performance?model=linear&action=purchase&by=creator,campaign&limit=5&from=2026-04-01&to=2026-05-02")
	if code != http.StatusOK || header.Get("Content-Type") != "application/json" || header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %v %s", code, header, body)
	}
	var got struct {
		Report      string
		Parameters  map[string]any
		DataVersion struct {
			Epoch   int
			Offsets map[string]string
		} `json:"data_version"`
		Rows   []map[string]any
		Totals map[string]map[string]any
	}
	must(t, json.Unmarshal([]byte(body), &got))
	want := map[string]any{
		"from": "2026-04-01T00:00:00+02:00", "to": "2026-05-02T00:00:00+02:00", "tz": "Europe/Berlin", "action": "purchase", "campaign": "", "creator": "",
		"model": "linear", "basis": "conversion", "within": "30d", "format": "json", "by": []any{"campaign", "creator"}, "limit": 5.0,
	}
	if diff := cmp.Diff(want, got.Parameters); diff != "" {
		t.Errorf("parameters (-want +got):\n%s", diff)
	}
	if got.Report != "performance" || got.DataVersion.Epoch != 1 || len(got.DataVersion.Offsets) != 1 || len(got.Rows) != 2 {
		t.Errorf("the report is %s", body)
	}
	eur := map[string]any{
		"total": map[string]any{"conversions": "2.000000000", "value_minor": "1501"}, "attributed": map[string]any{"conversions": "1.000000000", "value_minor": "1001"},
		"other": map[string]any{"conversions": "0.000000000", "value_minor": "0"}, "excluded": map[string]any{},
		"unattributed": map[string]any{"no_touch": map[string]any{"conversions": "1.000000000", "value_minor": "500"}},
	}
	if diff := cmp.Diff(eur, got.Totals["EUR"]); diff != "" {
		t.Errorf("totals (-want +got):\n%s", diff)
	}
}

func TestReportsAreCSV(t *testing.T) {
	w := campaignWorld(t)
	w.convert(conversion{order: "=cmd()", at: daysAgo(1)})
	w.insert()
	for path, want := range map[string][]string{
		"performance?format=csv&model=linear&action=purchase": {
			"campaign,creator,placement,link,day,impressions,viewable,engagements,visits,clicks,exposed,acted,invalid,time_to_convert_p50_s,exact," +
				"conversions_linear_EUR,value_minor_linear_EUR,totals_currency,totals_part,totals_reason,totals_conversions,totals_value_minor",
			"spring,ann,,,,3,2,0,0,2,1,1,1,86400,true,0.500000000,501,,,,,",
			",,,,,,,,,,,,,,,,,EUR,total,,2.000000000,1501",
			",,,,,,,,,,,,,,,,,EUR,unattributed,no_touch,1.000000000,500",
		},
		"exposure?format=csv&creator=ann&action=purchase": {
			"campaign,creator,action,exposed,clicked,acted,after,before,none,window_open,unexposed_acted,acted_rate,acted_rate_low,acted_rate_high,exact,label,",
			",ann,purchase,1,1,1,0,0,0,1,1,1.000000,0.206549,1.000000,true,\"observational: ",
		},
		"conversions?format=csv&limit=1": {"time,action,order_id,", "2026-04-30T12:00:00.000Z,purchase,'=cmd(),"},
		"receipt?format=csv&order_id=1":  {"time,kind,creator,campaign,", ",click,ann,spring,spring-ann,1,l1,,t0,true,,86400,1.000000000,0.000000000,0.500000000,"},
		"health?format=csv":              {"outcome,kind,reason,gross,net,", "accepted,click,,2,2,", "flagged,impression,robot,1,0,"},
	} {
		code, header, body := w.get(adminKey, "/v1/reports/"+path)
		if code != http.StatusOK || !strings.HasPrefix(header.Get("Content-Type"), "text/csv") {
			t.Errorf("%s: %d %v %s", path, code, header, body)
			continue
		}
		if _, err := csv.NewReader(strings.NewReader(body)).ReadAll(); err != nil {
			t.Errorf("%s is no rectangle: %v", path, err)
		}
		for _, line := range want {
			if !strings.Contains(body, line) {
				t.Errorf("%s: no %q in\n%s", path, line, body)
			}
		}
	}
}

// TestTheSameBytesBeforeAndAfterDeriving asks for whole reports.
func TestTheSameBytesBeforeAndAfterDeriving(t *testing.T) {
	w := campaignWorld(t)
	paths := []string{
		"performance", "performance?by=day,link&basis=touch", "performance?from=2026-04-24T11:59:59.5Z&to=2026-04-24T12:00:00.001Z", "exposure?by=campaign,creator",
		"conversions", "receipt?order_id=1", "health",
	}
	live := map[string]string{}
	for _, path := range paths {
		_, _, live[path] = w.get(adminKey, "/v1/reports/"+path)
	}
	w.derive()
	for _, path := range paths {
		code, _, body := w.get(adminKey, "/v1/reports/"+path)
		if code != http.StatusOK {
			t.Errorf("%s: %d %s", path, code, body)
		}
		if diff := cmp.Diff(live[path], body); diff != "" {
			t.Errorf("%s (-live +derived):\n%s", path, diff)
		}
	}
}

func TestAReportKnowsNothingOfOtherWorkspaces(t *testing.T) {
	w := campaignWorld(t)
	w.touch(touch{entity: "v:a", kind: "click", creator: "ann", at: daysAgo(5)})
	w.effects.Facts[0].Entity.Workspace = "other"
	j := w.journey(conversion{order: "1", person: "v:a", at: daysAgo(5), value: 5, currency: "EUR"})
	j.Order.Workspace, j.Person.Workspace = "other", "other"
	w.effects.Journeys = append(w.effects.Journeys, j)
	before, err := w.service.Performance(w.as(readKey), &aftertouchv1.Parameters{})
	must(t, err)
	w.insert()
	for _, derived := range []bool{false, true} {
		if derived {
			w.derive()
		}
		got, err := w.service.Performance(w.as(readKey), &aftertouchv1.Parameters{})
		must(t, err)
		if len(got.Rows) != 2 || got.Rows[0].String() != before.Rows[0].String() || got.Totals["EUR"].String() != before.Totals["EUR"].String() {
			t.Errorf("derived %v: rows %v, totals %v; before %v", derived, got.Rows, got.Totals, before)
		}
	}
}
