package event

import (
	"encoding/base64"
	"testing"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"google.golang.org/protobuf/types/known/timestamppb"
)

func TestCorrectTime(t *testing.T) {
	const received, hour = int64(1_772_000_000_000), int64(3600_000)
	none := int64(-1)
	for _, c := range []struct {
		name        string
		event, sent int64
		want        int64
		clamped     bool
		reason      Reason
	}{
		{"no time: received", none, none, received, false, ""},
		{"no event time, wrong clock", none, received - hour, received, false, ""},
		{"good clock", received - 1000, received - 100, received - 1000, false, ""},
		{"skew of 5 s is how long sending takes", received - 9000, received - 5000, received - 9000, false, ""},
		{"clock 5.001 s behind", received - 9000, received - 5001, received - 3999, false, ""},
		{"clock an hour ahead", received + hour - 2000, received + hour, received - 2000, false, ""},
		{"late delivery without sent time keeps its time", received - 48*hour, none, received - 48*hour, false, ""},
		{"1 ms ahead", received + 1, none, received, true, ""},
		{"24 h ahead", received + 24*hour, none, received, true, ""},
		{"24 h and 1 ms ahead", received + 24*hour + 1, none, 0, false, FutureEvent},
		{"ahead after correction", received, received - 48*hour, 0, false, FutureEvent},
		{"before 1970 after correction", 1000, received + 48*hour, 0, false, Malformed},
	} {
		e := &aftertouchv1.Event{}
		if c.event != none {
			e.EventTime = Time(c.event)
		}
		if c.sent != none {
			e.SentTime = Time(c.sent)
		}
		got, clamped, refusal := CorrectTime(e, received)
		if c.reason != "" {
			if refusal == nil || refusal.Reason != c.reason {
				t.Errorf("%s: got %v, want %s", c.name, refusal, c.reason)
			}
			continue
		}
		if refusal != nil || got != c.want || clamped != c.clamped {
			t.Errorf("%s: got %d clamped=%v %v, want %d clamped=%v", c.name, got-received, clamped, refusal, c.want-received, c.clamped)
		}
	}
	for _, bad := range []*timestamppb.Timestamp{{Seconds: -1}, {Nanos: -1}, {Nanos: 1e9}, {Seconds: maxTime}} {
		if _, _, refusal := CorrectTime(&aftertouchv1.Event{EventTime: bad}, received); refusal == nil || refusal.Reason != Malformed {
			t.Errorf("%v: got %v, want malformed", bad, refusal)
		}
	}
}

func TestAddressOf(t *testing.T) {
	conversion := func(id, order, scope string) *aftertouchv1.Event {
		return &aftertouchv1.Event{EventId: id, VisitorId: "v1", Kind: &aftertouchv1.Event_Conversion{
			Conversion: &aftertouchv1.Conversion{Action: "purchase", OrderId: order, OrderScope: scope},
		}}
	}
	click := &aftertouchv1.Event{
		EventId: "c1", VisitorId: "v1", Kind: &aftertouchv1.Event_Click{Click: &aftertouchv1.Click{}},
		Stamps: &aftertouchv1.Stamps{Click: &aftertouchv1.ClickRef{EventId: "c1"}},
	}
	bearing := visit(func(e *aftertouchv1.Event) {
		e.EventId, e.VisitorId, e.Stamps = "e1", "v1", &aftertouchv1.Stamps{Click: &aftertouchv1.ClickRef{EventId: "e1"}}
	})
	for _, c := range []struct {
		name  string
		event *aftertouchv1.Event
		want  string
	}{
		{"visitor", visit(func(e *aftertouchv1.Event) { e.EventId, e.VisitorId, e.UserKey = "e1", "v1", "h" }), "shop/v:v1"},
		{"user only", visit(func(e *aftertouchv1.Event) { e.EventId, e.UserKey = "e1", "h" }), "shop/u:h"},
		{"nobody", visit(func(e *aftertouchv1.Event) { e.EventId = "e1" }), "shop/v:~e/e1"},
		{"redirect's click", click, "shop/v:~c/c1"},
		{"a visit is never a redirect's click", bearing, "shop/v:v1"},
		{"order", conversion("e1", "A/1", "de shop"), "shop/o:purchase/de%20shop/A%2F1"},
		{"order without scope", conversion("e1", "1001", ""), "shop/o:purchase//1001"},
		{"no order id", conversion("e1", "", ""), "shop/o:~e/e1"},
	} {
		to := AddressOf("shop", c.event)
		if to.Key() != c.want || string(to.AppendKey(nil)) != c.want {
			t.Errorf("%s: got %s and %s, want %s", c.name, to.Key(), to.AppendKey(nil), c.want)
		}
	}
}

// tcString makes the core segment of a TC string with the given purposes.
func tcString(version byte, consent, legitimate []int) string {
	bits := make([]byte, 30)
	bits[0] = version << 2
	for i, purposes := range [][]int{consent, legitimate} {
		for _, p := range purposes {
			n := 152 + 24*i + p - 1
			bits[n/8] |= 0x80 >> (n % 8)
		}
	}
	return base64.RawURLEncoding.EncodeToString(bits)
}

func TestEffectiveConsent(t *testing.T) {
	const unspecified, granted, denied = aftertouchv1.Consent_unspecified, aftertouchv1.Consent_granted, aftertouchv1.Consent_denied
	full := tcString(2, []int{1, 7}, nil)
	for _, c := range []struct {
		name    string
		consent *aftertouchv1.Consent
		policy  ConsentPolicy
		want    aftertouchv1.Consent_State
	}{
		{"absent", nil, ConsentPolicy{}, unspecified},
		{"absent, required", nil, ConsentPolicy{Required: true}, denied},
		{"granted, required", &aftertouchv1.Consent{State: granted}, ConsentPolicy{Required: true}, granted},
		{"denied", &aftertouchv1.Consent{State: denied}, ConsentPolicy{}, denied},
		{"browser refuses, site says granted", &aftertouchv1.Consent{State: granted}, ConsentPolicy{Denied: true}, denied},
		{"TCF grants", &aftertouchv1.Consent{Tcf: full}, ConsentPolicy{Required: true}, granted},
		{"TCF grants, other segments follow", &aftertouchv1.Consent{Tcf: full + ".IAAA.YAAA"}, ConsentPolicy{Required: true}, granted},
		{"TCF measuring by legitimate interest", &aftertouchv1.Consent{Tcf: tcString(2, []int{1}, []int{7})}, ConsentPolicy{}, granted},
		{"TCF without storage", &aftertouchv1.Consent{Tcf: tcString(2, []int{7}, nil)}, ConsentPolicy{}, denied},
		{"TCF without measuring", &aftertouchv1.Consent{Tcf: tcString(2, []int{1, 2, 3}, nil)}, ConsentPolicy{}, denied},
		{"TCF without anything, site says granted", &aftertouchv1.Consent{State: granted, Tcf: tcString(2, nil, nil)}, ConsentPolicy{}, denied},
		{"TCF denied", &aftertouchv1.Consent{Tcf: "denied"}, ConsentPolicy{}, denied},
		{"TCF of another version", &aftertouchv1.Consent{Tcf: tcString(1, []int{1, 7}, nil)}, ConsentPolicy{}, denied},
		{"TCF garbage", &aftertouchv1.Consent{Tcf: "***"}, ConsentPolicy{}, denied},
		// Strings that public parsers show as examples; they say that these hold purposes 1 to 3, and 1, 3, 9 and 10.
		{"TCF of purposes 1 to 3", &aftertouchv1.Consent{Tcf: "COvFyGBOvFyGBAbAAAENAPCAAOAAAAAAAAAAAEEUACCKAAA.IFoEUQQgAIQwgIwQABAEAAAAOIAACAIAAAAQAIAgEAACEAAAAAgAQBAAAAAAAGBAAgAAAAAAAFAAECAAAgAAQARAEQAAAAAJAAIAAgAAAYQEAAAQmAgBC3ZAYzUw"}, ConsentPolicy{}, denied},
		{"TCF of purposes 1, 3, 9 and 10", &aftertouchv1.Consent{Tcf: "CLcVDxRMWfGmWAVAHCENAXCkAKDAADnAABRgA5mdfCKZuYJez-NQm0TBMYA4oCAAGQYIAAAAAAEAIAEgAA.argAC0gAAAAAAAAAAAA"}, ConsentPolicy{}, denied},
	} {
		if got := EffectiveConsent(c.consent, c.policy); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

func TestAnonymizeLeavesNothingOfAPerson(t *testing.T) {
	e := purchase(func(*aftertouchv1.Conversion) {})
	e.EventId, e.VisitorId, e.UserKey, e.ClickId, e.ShareParent = "e1", "v1", "u1", "t1", "s1"
	e.Properties = map[string]string{"a": "b"}
	e.Stamps = &aftertouchv1.Stamps{Click: &aftertouchv1.ClickRef{EventId: "c1", VisitorId: "v2"}, Terms: &aftertouchv1.Terms{CreatorId: "anna"}}
	Anonymize(e)
	want := purchase(func(*aftertouchv1.Conversion) {})
	want.EventId, want.Stamps = "e1", &aftertouchv1.Stamps{Terms: &aftertouchv1.Terms{CreatorId: "anna"}}
	if !e.EqualVT(want) {
		t.Errorf("left: %v", e)
	}
}

func TestAppendEventWritesWhatEncodeEventReturns(t *testing.T) {
	for name, e := range map[string]*aftertouchv1.Event{
		"touch": visit(func(e *aftertouchv1.Event) {
			e.EventId, e.Stamps = "e1", &aftertouchv1.Stamps{RegistryOffset: 300, Flags: []string{"robot"}}
		}),
		"no stamps":  visit(func(e *aftertouchv1.Event) { e.EventId = "e1" }),
		"properties": visit(func(e *aftertouchv1.Event) { e.Properties = map[string]string{"a": "1", "b": "2", "c": "3", "d": "4"} }),
		"conversion": purchase(func(*aftertouchv1.Conversion) {}),
	} {
		want, err := EncodeEvent(e)
		if err != nil {
			t.Fatal(err)
		}
		got, err := AppendEvent([]byte("before"), e)
		if err != nil || string(got) != "before"+string(want) {
			t.Errorf("%s: %x, %v, want %x", name, got, err, want)
		}
		var rec Record
		if err := Decode([]byte("shop/v:1"), got[len("before"):], &rec); err != nil || !rec.Event.GetStamps().EqualVT(stripped(e.Stamps)) {
			t.Errorf("%s: decoded %v, %v", name, rec.Event, err)
		}
		if rec.RegistryOffset != e.GetStamps().GetRegistryOffset() {
			t.Errorf("%s: registry offset %d", name, rec.RegistryOffset)
		}
	}
}

func stripped(s *aftertouchv1.Stamps) *aftertouchv1.Stamps {
	if s == nil {
		return nil
	}
	c := s.CloneVT()
	c.RegistryOffset = 0
	return c
}

func TestCheckStamps(t *testing.T) {
	const now = int64(1_772_000_000_000)
	ok := func(change func(*aftertouchv1.Stamps)) *aftertouchv1.Stamps {
		s := &aftertouchv1.Stamps{ReceivedTime: Time(now), Flags: []string{"robot"}, Click: &aftertouchv1.ClickRef{EventId: "c1", Time: Time(now), LinkId: "l1"}}
		change(s)
		return s
	}
	if refusal := CheckStamps(ok(func(*aftertouchv1.Stamps) {}), now); refusal != nil {
		t.Error(refusal)
	}
	if refusal := CheckStamps(&aftertouchv1.Stamps{}, now); refusal != nil {
		t.Error(refusal)
	}
	for name, c := range map[string]struct {
		change func(*aftertouchv1.Stamps)
		want   Reason
	}{
		"received in the future":  {func(s *aftertouchv1.Stamps) { s.ReceivedTime = Time(now + 1) }, FutureEvent},
		"received before 1970":    {func(s *aftertouchv1.Stamps) { s.ReceivedTime = &timestamppb.Timestamp{Seconds: -1} }, Malformed},
		"unknown source":          {func(s *aftertouchv1.Stamps) { s.Source = 9 }, Malformed},
		"too many flags":          {func(s *aftertouchv1.Stamps) { s.Flags = make([]string, 17) }, Malformed},
		"flag that is no word":    {func(s *aftertouchv1.Stamps) { s.Flags = []string{"No Word"} }, Malformed},
		"long channel":            {func(s *aftertouchv1.Stamps) { s.Channel = string(make([]byte, 65)) }, Malformed},
		"click without id":        {func(s *aftertouchv1.Stamps) { s.Click.EventId = "" }, Malformed},
		"click without time":      {func(s *aftertouchv1.Stamps) { s.Click.Time = nil }, Malformed},
		"click with a bad id":     {func(s *aftertouchv1.Stamps) { s.Click.EventId = "~" }, Malformed},
		"click with placeholder":  {func(s *aftertouchv1.Stamps) { s.Click.VisitorId = "null" }, PlaceholderID},
		"click with a bad link":   {func(s *aftertouchv1.Stamps) { s.Click.LinkId = "a/b" }, UnknownLink},
		"code that is not UTF-8":  {func(s *aftertouchv1.Stamps) { s.CodeTerms = []*aftertouchv1.CodeTerms{{Code: "\xff"}} }, Malformed},
		"click time out of range": {func(s *aftertouchv1.Stamps) { s.Click.Time = &timestamppb.Timestamp{Nanos: -1} }, Malformed},
	} {
		if refusal := CheckStamps(ok(c.change), now); refusal == nil || refusal.Reason != c.want {
			t.Errorf("%s: got %v, want %s", name, refusal, c.want)
		}
	}
}
