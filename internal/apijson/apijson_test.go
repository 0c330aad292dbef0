package apijson

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

var at = &timestamppb.Timestamp{Seconds: 1_772_000_000, Nanos: 123_000_000}

func conversion(value int64) *aftertouchv1.Event {
	return &aftertouchv1.Event{EventId: "e1", EventTime: at, VisitorId: "v1", Kind: &aftertouchv1.Event_Conversion{
		Conversion: &aftertouchv1.Conversion{Action: "purchase", OrderId: "1001", ValueMinor: value, Currency: "EUR"},
	}}
}

func TestUnmarshalEvent(t *testing.T) {
	want := conversion(4999)
	for name, c := range map[string]struct {
		json    string
		unknown int
	}{
		"snake_case, integer as string": {`{"event_id":"e1","event_time":"2026-02-25T06:13:20.123Z","visitor_id":"v1","conversion":{"action":"purchase","order_id":"1001","value_minor":"4999","currency":"EUR"}}`, 0},
		"camelCase, integer as number":  {`{"eventId":"e1","eventTime":"2026-02-25T06:13:20.123Z","visitorId":"v1","conversion":{"action":"purchase","orderId":"1001","valueMinor":4999,"currency":"EUR"}}`, 0},
		"Unix milliseconds":             {`{"event_id":"e1","event_time":1772000000123,"visitor_id":"v1","conversion":{"action":"purchase","order_id":"1001","value_minor":4999.0,"currency":"EUR"}}`, 0},
		"fractions of milliseconds":     {`{"event_id":"e1","event_time":1772000000123.7,"visitor_id":"v1","conversion":{"action":"purchase","order_id":"1001","value_minor":49.99e2,"currency":"EUR"}}`, 0},
		"Unix milliseconds as a string": {`{"event_id":"e1","event_time":"1772000000123","visitor_id":"v1","conversion":{"action":"purchase","order_id":"1001","value_minor":"4999","currency":"EUR"}}`, 0},
		"unknown fields at every level": {`{"event_id":"e1","event_time":1772000000123,"visitor_id":"v1","x":{"y":1},"conversion":{"action":"purchase","order_id":"1001","value_minor":4999,"currency":"EUR","tax":{"a":[1,2]}}}`, 2},
		"nulls are absent":              {`{"event_id":"e1","event_time":1772000000123,"visitor_id":"v1","click":null,"conversion":{"action":"purchase","order_id":"1001","value_minor":4999,"currency":"EUR","items":null}}`, 0},
		"another zone":                  {`{"event_id":"e1","event_time":"2026-02-25T07:13:20.123+01:00","visitor_id":"v1","conversion":{"action":"purchase","order_id":"1001","value_minor":4999,"currency":"EUR"}}`, 0},
	} {
		var got aftertouchv1.Event
		unknown, err := Unmarshal([]byte(c.json), &got)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(want, &got, protocmp.Transform()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if unknown != c.unknown {
			t.Errorf("%s: %d unknown fields, want %d", name, unknown, c.unknown)
		}
	}
}

// The tolerant decoder must read all types that the fast one reads, so it is given messages that the fast one refuses only
// for an unknown field.
func TestTolerantDecoderReadsWhatMarshalWrites(t *testing.T) {
	for _, m := range []proto.Message{
		&aftertouchv1.Event{
			EventId: "e1", EventTime: at, Properties: map[string]string{"a": "b", "c": ""},
			Consent: &aftertouchv1.Consent{State: aftertouchv1.Consent_granted},
			Kind:    &aftertouchv1.Event_Impression{Impression: &aftertouchv1.Impression{Viewability: aftertouchv1.Impression_viewable, VisibleMs: 1200}},
		},
		&aftertouchv1.Event{
			Kind: &aftertouchv1.Event_Conversion{Conversion: &aftertouchv1.Conversion{
				PromoCodes: []string{"A", "B"},
				Items:      []*aftertouchv1.Item{{ItemId: "i", Quantity: 2, ValueMinor: 1 << 60}},
			}},
			Stamps: &aftertouchv1.Stamps{Flags: []string{"robot"}, RegistryOffset: -5, CodeTerms: []*aftertouchv1.CodeTerms{{Code: "A", Terms: &aftertouchv1.Terms{AgreementVersion: 7}}}},
		},
		&aftertouchv1.Campaign{CampaignId: "c", Start: at, Counting: map[string]aftertouchv1.Campaign_Counting{"purchase": aftertouchv1.Campaign_first}, HalfLife: durationpb.New(36 * time.Hour)},
		&aftertouchv1.DataVersion{Epoch: 1, Offsets: map[int32]int64{0: 5, 3: 1 << 40}},
		&aftertouchv1.Workspace{ConsentRequired: true},
		&aftertouchv1.RegistryRecord{SealedKeys: []byte{1, 2, 250}, KeyHash: []byte{}},
		&aftertouchv1.Touch{PayloadHash: 1<<63 + 5},
	} {
		data, err := Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		got := m.ProtoReflect().New().Interface()
		unknown, err := Unmarshal(append([]byte(`{"unknown_to_us":1,`), data[1:]...), got)
		if err != nil || unknown != 1 {
			t.Errorf("%s: %d unknown, %v", data, unknown, err)
		}
		if diff := cmp.Diff(m, got, protocmp.Transform(), protocmp.IgnoreEmptyMessages()); diff != "" {
			t.Errorf("%s: %s", data, diff)
		}
	}
}

func TestUnmarshalRefuses(t *testing.T) {
	const secret = "jo@example.com"
	for name, c := range map[string]struct{ json, place string }{
		"broken":             {`{"event_id":"` + secret + `"`, ""},
		"syntax":             {`{"event_id":` + secret + `}`, "byte"},
		"empty":              {``, ""},
		"array":              {`[]`, ""},
		"two objects":        {`{} {}`, ""},
		"string for id":      {`{"event_id":5}`, "event_id"},
		"array for string":   {`{"event_id":["` + secret + `"]}`, "event_id"},
		"word for integer":   {`{"conversion":{"value_minor":"` + secret + `"}}`, "conversion.value_minor"},
		"half a cent":        {`{"conversion":{"value_minor":49.99}}`, "conversion.value_minor"},
		"over 64 bits":       {`{"conversion":{"value_minor":9223372036854775808}}`, "conversion.value_minor"},
		"huge exponent":      {`{"conversion":{"value_minor":1e999999999}}`, "conversion.value_minor"},
		"large exponent":     {`{"conversion":{"value_minor":1e300}}`, "conversion.value_minor"},
		"negative unsigned":  {`{"impression":{"visible_ms":-1}}`, "impression.visible_ms"},
		"over 32 bits":       {`{"impression":{"visible_ms":4294967296}}`, "impression.visible_ms"},
		"unknown word":       {`{"impression":{"viewability":"` + secret + `"}}`, "viewable"},
		"word for a time":    {`{"event_time":"yesterday"}`, "event_time"},
		"object for a time":  {`{"event_time":{}}`, "event_time"},
		"word for a boolean": {`{"visit":{"session_start":"yes"}}`, "visit.session_start"},
		"word for an object": {`{"visit":"` + secret + `"}`, "visit"},
		"two kinds":          {`{"visit":{},"click":{}}`, "kind"},
		"both spellings":     {`{"event_id":"a","eventId":"b"}`, "event_id"},
		"object for list":    {`{"conversion":{"promo_codes":{}}}`, "promo_codes"},
		"list for map":       {`{"properties":[]}`, "properties"},
		"number in map":      {`{"properties":{"a":1}}`, "properties"},
		"place in a list":    {`{"conversion":{"items":[{},{"quantity":"x"}]}}`, "items[1].quantity"},
	} {
		var e aftertouchv1.Event
		_, err := Unmarshal([]byte(c.json), &e)
		if !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: got %v, want ErrMalformed", name, err)
			continue
		}
		if !strings.Contains(err.Error(), c.place) {
			t.Errorf("%s: %q does not name %q", name, err, c.place)
		}
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %q repeats what was sent", name, err)
		}
		if !proto.Equal(&e, &aftertouchv1.Event{}) {
			t.Errorf("%s: something was left in the message: %v", name, &e)
		}
	}
}

func TestMarshalWritesWhatTheAPIPromises(t *testing.T) {
	data, err := Marshal(conversion(4999))
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	c := got["conversion"].(map[string]any)
	for name, want := range map[string]any{"value_minor": "4999", "order_scope": "", "evidence": "observed"} {
		if c[name] != want {
			t.Errorf("%s: got %v, want %v", name, c[name], want)
		}
	}
	if got["event_time"] != "2026-02-25T06:13:20.123Z" || got["page_url"] != "" {
		t.Errorf("%s", data)
	}
	if strings.Contains(string(data), ": ") || strings.Contains(string(data), ", ") {
		t.Errorf("not compact: %s", data)
	}
}

func TestParseDuration(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"30d": 720 * time.Hour, "24h": 24 * time.Hour, "3600s": time.Hour, "1d12h": 36 * time.Hour, "0.5d": 12 * time.Hour,
		"90m": 90 * time.Minute, "0s": 0, "-1d": -24 * time.Hour, "1.5h": 90 * time.Minute, "-1d12h": -36 * time.Hour,
	} {
		if got, err := ParseDuration(s); err != nil || got != want {
			t.Errorf("%s: got %v, %v, want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"", "d", "30", "30 d", "d30", "1d-2h", "1e9d", "NaNd", "999999d", "30x", "1dd", "0x1d"} {
		if got, err := ParseDuration(s); !errors.Is(err, ErrDuration) {
			t.Errorf("%q: got %v, %v, want ErrDuration", s, got, err)
		}
	}
	var c aftertouchv1.Campaign
	if _, err := Unmarshal([]byte(`{"half_life":"7d"}`), &c); err != nil || c.HalfLife.AsDuration() != 168*time.Hour {
		t.Errorf("%v, %v", c.HalfLife, err)
	}
}

func TestGatewayMarshaler(t *testing.T) {
	unknown := 0
	m := NewMarshaler(func(n int) { unknown += n })
	var w aftertouchv1.Workspace
	if err := m.NewDecoder(strings.NewReader(`{"workspaceId":"shop","colour":1}`)).Decode(&w); err != nil || w.WorkspaceId != "shop" || unknown != 1 {
		t.Errorf("%v, %v, %d unknown", &w, err, unknown)
	}
	if err := m.NewDecoder(strings.NewReader("")).Decode(&w); !errors.Is(err, io.EOF) {
		t.Errorf("no body: got %v, want io.EOF", err)
	}
	if err := m.NewDecoder(strings.NewReader(`{"name":"` + strings.Repeat("x", maxBody) + `"}`)).Decode(&w); !errors.Is(err, ErrMalformed) {
		t.Errorf("large body: %v", err)
	}
	if b, err := m.Marshal("x"); err != nil || string(b) != `"x"` {
		t.Errorf("%s, %v", b, err)
	}
}

func TestHandleErrorKeepsTheReason(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		want   Error
	}{
		{StatusError(codes.Aborted, "version_conflict", "the newest is 3"), http.StatusConflict, Error{"version_conflict", "the newest is 3"}},
		{status.Error(codes.NotFound, "no such campaign"), http.StatusNotFound, Error{"not_found", "no such campaign"}},
		{StatusError(codes.Unavailable, "starting", "try again"), http.StatusServiceUnavailable, Error{"starting", "try again"}},
	} {
		w := httptest.NewRecorder()
		HandleError(t.Context(), nil, nil, w, nil, c.err)
		var got Error
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || got != c.want || w.Code != c.status {
			t.Errorf("got %d %+v (%v), want %d %+v", w.Code, got, err, c.status, c.want)
		}
		if (w.Header().Get("Retry-After") != "") != (c.status == http.StatusServiceUnavailable) {
			t.Errorf("%d: Retry-After %q", c.status, w.Header().Get("Retry-After"))
		}
	}
}

func TestHandleRoutingSaysWhatIsWrong(t *testing.T) {
	for code, reason := range map[int]string{
		http.StatusNotFound: "not_found", http.StatusMethodNotAllowed: "method_not_allowed", http.StatusBadRequest: "invalid_argument",
	} {
		w := httptest.NewRecorder()
		HandleRouting(t.Context(), nil, nil, w, httptest.NewRequestWithContext(t.Context(), http.MethodDelete, "/v1/creators/ana", nil), code)
		var got Error
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || got.Reason != reason || got.Detail == "" || w.Code != code {
			t.Errorf("%d: got %d %+v (%v), want reason %s", code, w.Code, got, err, reason)
		}
	}
}

func FuzzUnmarshalEvent(f *testing.F) {
	f.Add([]byte(`{"event_id":"e1","x":1,"conversion":{"value_minor":1e3,"items":[{"quantity":"5"}]}}`))
	f.Add([]byte(`{"properties":{"a":"b"},"eventTime":1.5,"stamps":{"terms":{}},"y":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var e, again aftertouchv1.Event
		if _, err := Unmarshal(data, &e); err != nil {
			return
		}
		out, err := Marshal(&e)
		if err != nil {
			return // times that no text can write are refused by validation
		}
		if _, err := Unmarshal(out, &again); err != nil {
			t.Fatalf("%s became %s: %v", data, out, err)
		}
	})
}

func BenchmarkUnmarshalEvent(b *testing.B) {
	data, _ := Marshal(conversion(4999))
	b.ReportAllocs()
	for b.Loop() {
		var e aftertouchv1.Event
		if _, err := Unmarshal(data, &e); err != nil {
			b.Fatal(err)
		}
	}
}
