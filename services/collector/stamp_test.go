package collector

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/clicktoken"
	"github.com/aftertouch-io/aftertouch/internal/event"
	"github.com/aftertouch-io/aftertouch/internal/privacy"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
)

func terms(creator string, version uint32) *aftertouchv1.Terms {
	return &aftertouchv1.Terms{AgreementId: "a-" + creator, AgreementVersion: version, CampaignId: "spring", CreatorId: creator}
}

// send posts one event and returns its result.
func (r *rig) send(key, e string, headers ...string) (status, reason string) {
	r.t.Helper()
	code, answer, _ := r.post(key, `{"events":[`+e+`]}`, headers...)
	if code != 200 || len(answer.Results) != 1 {
		r.t.Fatalf("%s: %d %+v", e, code, answer)
	}
	return answer.Results[0].Status, answer.Results[0].Reason
}

// stored posts one event and returns it as the log has it, under the key.
func (r *rig) stored(key, logKey, e string, headers ...string) *aftertouchv1.Event {
	r.t.Helper()
	if status, reason := r.send(key, e, headers...); status != "ok" {
		r.t.Fatalf("%s: %s %s", e, status, reason)
	}
	return r.only(logKey)
}

func (r *rig) token(workspace string, c clicktoken.Click) string {
	r.t.Helper()
	w, ok := r.world.view.Workspace(workspace)
	if !ok {
		r.t.Fatal("no workspace")
	}
	s, err := clicktoken.NewSealer(workspace, w.TokenKey)
	if err != nil {
		r.t.Fatal(err)
	}
	return s.Seal(c)
}

func TestAgreementComesFromTokenLinkOrPlacement(t *testing.T) {
	r := newRig(t)
	click := clicktoken.Click{EventID: "c1", LinkID: "shop-ben", Time: now.Add(-48 * time.Hour).UnixMilli(), AgreementVersion: 1, VisitorID: "vb"}
	token := r.token("shop", click)
	for name, c := range map[string]struct {
		fields string
		want   *aftertouchv1.Terms
	}{
		"placement":           {`"placement":"p-anna"`, terms("anna", 1)},
		"link":                {`"link":"shop-anna"`, terms("anna", 1)},
		"version at its time": {`"link":"shop-ben"`, terms("ben", 2)},
		"earlier version":     {`"link":"shop-ben","event_time":"2026-03-13T12:00:00Z"`, terms("ben", 1)},
		"token":               {`"click_id":"` + token + `"`, terms("ben", 2)},
		"token and link":      {`"click_id":"` + token + `","link":"shop-ben"`, terms("ben", 2)},
		"before the campaign": {`"link":"shop-ben","event_time":"2026-02-28T23:59:59.999Z"`, terms("ben", 0)},
		"nothing":             {`"page_url":"https://shop.example/"`, nil},
	} {
		visitor := "terms-" + strings.ReplaceAll(name, " ", "-")
		e := r.stored(webKey, "shop/v:"+visitor, `{"visitor_id":"`+visitor+`","visit":{},`+c.fields+`}`)
		if diff := cmp.Diff(c.want, e.Stamps.Terms, protocmp.Transform()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if flagged := slices.Contains(e.Stamps.Flags, event.FlagNotInForce); flagged != (c.want != nil && c.want.AgreementVersion == 0) {
			t.Errorf("%s: flags %v", name, e.Stamps.Flags)
		}
		if e.ClickId != "" {
			t.Errorf("%s: the token is stored", name)
		}
		if strings.Contains(c.fields, "click_id") {
			want := &aftertouchv1.ClickRef{EventId: "c1", Time: event.Time(click.Time), LinkId: "shop-ben", VisitorId: "vb", AgreementVersion: 1}
			if diff := cmp.Diff(want, e.Stamps.Click, protocmp.Transform()); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		} else if e.Stamps.Click != nil {
			t.Errorf("%s: has a click of another event: %v", name, e.Stamps.Click)
		}
	}
	if status, reason := r.send(webKey, `{"visit":{},"link":"shop-anna","click_id":"`+token+`"}`); reason != "agreement_mismatch" {
		t.Errorf("token and link of two agreements: %s %s", status, reason)
	}
}

func TestTokenThatDoesNotOpenIsFlagged(t *testing.T) {
	r := newRig(t)
	for name, token := range map[string]string{
		"garbage":           "AQgarbage",
		"another workspace": r.token("other", clicktoken.Click{EventID: "c1", LinkID: "other-anna", Time: now.UnixMilli()}),
		"unknown link":      r.token("shop", clicktoken.Click{EventID: "c1", LinkID: "nowhere", Time: now.UnixMilli()}),
	} {
		visitor := "token-" + strings.ReplaceAll(name, " ", "-")
		e := r.stored(webKey, "shop/v:"+visitor, `{"visitor_id":"`+visitor+`","visit":{},"click_id":"`+token+`"}`)
		if !slices.Contains(e.Stamps.Flags, event.FlagUnknownToken) || e.Stamps.Click != nil || e.ClickId != "" {
			t.Errorf("%s: %v", name, e)
		}
	}
}

func TestPromoCodesAreResolvedAtTheConversionsTime(t *testing.T) {
	r := newRig(t)
	e := r.stored(secretKey, "shop/o:purchase//codes-1", `{"event_time":"2026-03-13T12:00:00Z",
		"conversion":{"action":"purchase","order_id":"codes-1","value_minor":100,"currency":"eur","promo_codes":[" ben10","ANNA10","nobody"]}}`)
	want := []*aftertouchv1.CodeTerms{{Code: "BEN10", Terms: terms("ben", 1)}, {Code: "ANNA10", Terms: terms("anna", 1)}, {Code: "NOBODY"}}
	if diff := cmp.Diff(want, e.Stamps.CodeTerms, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{event.FlagUnknownCode}, e.Stamps.Flags); diff != "" {
		t.Error(diff)
	}
	if e.GetConversion().Currency != "EUR" || e.Stamps.Source != aftertouchv1.Stamps_server {
		t.Errorf("%v", e)
	}
}

func TestUserKeyIsHashedAtTheEdge(t *testing.T) {
	r := newRig(t)
	w, _ := r.world.view.Workspace("shop")
	hash := privacy.HashUserKey(w.HMACKey, "customer-4711")
	e := r.stored(secretKey, "shop/u:"+hash, `{"user_key":"customer-4711","visit":{}}`)
	if e.UserKey != hash {
		t.Errorf("stored %q", e.UserKey)
	}
	e = r.stored(secretKey, "shop/v:hash-v", `{"visitor_id":"hash-v","user_key":"customer-4711","identify":{}}`)
	if e.UserKey != hash || e.VisitorId != "hash-v" {
		t.Errorf("stored %v", e)
	}
}

func TestTimeIsCorrectedOnce(t *testing.T) {
	r := newRig(t)
	ahead := now.Add(time.Hour)
	e := r.stored(webKey, "shop/v:skew", fmt.Sprintf(`{"visitor_id":"skew","visit":{},"event_time":%d,"sent_time":%d}`, ahead.UnixMilli(), ahead.Add(2*time.Second).UnixMilli()))
	if got := event.Millis(e.EventTime); got != now.Add(-2*time.Second).UnixMilli() || e.SentTime != nil {
		t.Errorf("corrected to %v, sent time %v", e.EventTime, e.SentTime)
	}
	if at, clamped, _ := event.CorrectTime(e, event.Millis(e.Stamps.ReceivedTime)); at != event.Millis(e.EventTime) || clamped {
		t.Error("correcting the stored event again changes it")
	}
	e = r.stored(webKey, "shop/v:future", fmt.Sprintf(`{"visitor_id":"future","visit":{},"event_time":%d}`, ahead.UnixMilli()))
	if event.Millis(e.EventTime) != now.UnixMilli() || !slices.Contains(e.Stamps.Flags, event.FlagClampedTime) {
		t.Errorf("not clamped: %v", e)
	}
}

func TestRobotsAndDevicesOfBrowsers(t *testing.T) {
	r := newRig(t)
	for visitor, c := range map[string]struct {
		key, agent, header string
		robot              bool
		device             string
	}{
		"ua-chrome":   {webKey, chrome, "", false, "desktop"},
		"ua-iphone":   {webKey, "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148", "", false, "mobile"},
		"ua-ipad":     {webKey, "Mozilla/5.0 (iPad; CPU OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148", "", false, "tablet"},
		"ua-bot":      {webKey, "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)", "", true, "bot"},
		"ua-prefetch": {webKey, chrome, "Sec-Purpose", true, "bot"},
		"ua-curl":     {webKey, "curl/8.5.0", "", false, ""},
		"ua-server":   {secretKey, "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)", "", false, ""},
	} {
		headers := []string{"User-Agent", c.agent}
		if c.header != "" {
			headers = append(headers, c.header, "prefetch;prerender")
		}
		e := r.stored(c.key, "shop/v:"+visitor, `{"visitor_id":"`+visitor+`","visit":{}}`, headers...)
		if slices.Contains(e.Stamps.Flags, event.FlagRobot) != c.robot || e.Stamps.DeviceClass != c.device {
			t.Errorf("%s: flags %v, device %q", visitor, e.Stamps.Flags, e.Stamps.DeviceClass)
		}
		if s := e.String(); strings.Contains(s, "Mozilla") || strings.Contains(s, "127.0.0.1") {
			t.Errorf("%s: stored %s", visitor, s)
		}
	}
}

func TestDeniedConsentLeavesNoPerson(t *testing.T) {
	r := newRig(t)
	token := r.token("shop", clicktoken.Click{EventID: "c9", LinkID: "shop-anna", Time: now.UnixMilli(), AgreementVersion: 1, VisitorID: "vx"})
	fields := `"visitor_id":"person","user_key":"person","click_id":"` + token + `","properties":{"a":"b"},"share_parent":"s"`
	for id, c := range map[string]struct {
		key, consent string
		headers      []string
	}{
		"c-denied":   {webKey, `,"consent":{"state":"denied"}`, nil},
		"c-gpc":      {webKey, ``, []string{"Sec-GPC", "1"}},
		"c-gpc-over": {webKey, `,"consent":{"state":"granted"}`, []string{"Sec-GPC", "1"}},
		"c-tcf":      {webKey, `,"consent":{"tcf":"denied"}`, nil},
	} {
		e := r.stored(c.key, "shop/v:~e/"+id, `{"event_id":"`+id+`",`+fields+c.consent+`,"visit":{}}`, c.headers...)
		want := &aftertouchv1.Event{
			EventId: id, EventTime: e.EventTime, Consent: &aftertouchv1.Consent{State: aftertouchv1.Consent_denied}, Placement: "p-anna",
			Kind:   &aftertouchv1.Event_Visit{Visit: &aftertouchv1.Visit{}},
			Stamps: &aftertouchv1.Stamps{ReceivedTime: e.Stamps.ReceivedTime, Source: aftertouchv1.Stamps_browser, WorkspaceVersion: 1, Terms: terms("anna", 1), Flags: []string{"no_consent"}},
		}
		if diff := cmp.Diff(want, e, protocmp.Transform()); diff != "" {
			t.Errorf("%s: %s", id, diff)
		}
	}
	e := r.stored(webKey, "shop/o:purchase//consent-1", `{"event_id":"c-order",`+fields+`,"consent":{"state":"denied"},"conversion":{"action":"purchase","order_id":"consent-1"}}`)
	if e.VisitorId != "" || e.UserKey != "" || e.Stamps.Click != nil || e.GetConversion().OrderId != "consent-1" || !slices.Contains(e.Stamps.Flags, event.FlagNoConsent) {
		t.Errorf("%v", e)
	}
}

func TestConsentRequiredAndDoNotTrackOfWorkspace(t *testing.T) {
	r := newRig(t)
	if e := r.stored(strictKey, "strict/v:~e/s1", `{"event_id":"s1","visitor_id":"sv","visit":{}}`); e.Consent.GetState() != aftertouchv1.Consent_denied {
		t.Errorf("nothing said: %v", e)
	}
	if e := r.stored(strictKey, "strict/v:sv2", `{"visitor_id":"sv2","visit":{},"consent":{"state":"granted","tcf":""}}`); e.Consent.GetState() != aftertouchv1.Consent_granted {
		t.Errorf("granted: %v", e)
	}
	r.stored(strictKey, "strict/v:~e/s3", `{"event_id":"s3","visitor_id":"sv3","visit":{},"consent":{"state":"granted"}}`, "DNT", "1")
	// The shop does not honour it.
	r.stored(webKey, "shop/v:dnt", `{"visitor_id":"dnt","visit":{}}`, "DNT", "1")
}

func TestMissingEventIDIsMade(t *testing.T) {
	r := newRig(t)
	_, answer, _ := r.post(webKey, `{"events":[{"visit":{}},{"visit":{}},{"conversion":{"action":"signup"}}]}`)
	ids := map[string]bool{}
	for _, res := range answer.Results {
		ids[res.EventID] = len(res.EventID) >= 16
	}
	if len(ids) != 3 {
		t.Fatalf("%+v", answer)
	}
	r.only("shop/v:~e/" + answer.Results[0].EventID)
	r.only("shop/o:~e/" + answer.Results[2].EventID)
}

func TestReplayKeepsStampsAndFillsTheRest(t *testing.T) {
	r := newRig(t)
	received := time.Date(2026, 3, 10, 8, 0, 0, 0, time.UTC)
	e := r.stored(replayKey, "shop/v:rp1", `{"event_id":"rp1","visitor_id":"rp1","event_time":"2026-03-10T07:59:00Z","link":"shop-ben","visit":{},
		"stamps":{"received_time":"2026-03-10T08:00:00Z","source":"browser","flags":["robot","odd_flag"],"country":"FR","device_class":"mobile","channel":"email","workspace_version":7,"registry_offset":"999999"}}`)
	want := &aftertouchv1.Event{
		EventId: "rp1", VisitorId: "rp1", EventTime: event.Time(received.Add(-time.Minute).UnixMilli()), Link: "shop-ben", Placement: "p-ben",
		Kind: &aftertouchv1.Event_Visit{Visit: &aftertouchv1.Visit{}},
		Stamps: &aftertouchv1.Stamps{
			ReceivedTime: event.Time(received.UnixMilli()), Source: aftertouchv1.Stamps_browser, Flags: []string{"robot", "odd_flag"}, Country: "FR",
			DeviceClass: "mobile", Channel: "email", WorkspaceVersion: 7, Terms: terms("ben", 1),
		},
	}
	if diff := cmp.Diff(want, e, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	if got := r.logged()["shop/v:rp1"][0].RegistryOffset; got != r.world.view.Offset() {
		t.Errorf("registry offset %d was kept", got)
	}
	e = r.stored(replayKey, "shop/v:rp2", `{"event_id":"rp2","visitor_id":"rp2","visit":{},"stamps":{"received_time":"2026-03-15T11:00:00Z","terms":{"agreement_id":"a-ben","agreement_version":1},
		"click":{"event_id":"c7","time":"2026-03-14T00:00:00Z","link_id":"shop-ben","agreement_version":2}}}`)
	if diff := cmp.Diff(terms("ben", 1), e.Stamps.Terms, protocmp.Transform()); diff != "" {
		t.Errorf("given version not kept or not completed: %s", diff)
	}
	if e.Stamps.Click.GetAgreementVersion() != 2 || event.Millis(e.EventTime) != now.Add(-time.Hour).UnixMilli() {
		t.Errorf("%v", e)
	}
	// The click that a redirect wrote goes back to its own entity, as the redirect wrote it.
	e = r.stored(replayKey, "shop/v:~c/c7", `{"event_id":"c7","visitor_id":"rp3","link":"shop-ben","click":{},"event_time":"2026-03-14T00:00:00Z",
		"stamps":{"received_time":"2026-03-14T00:00:00Z","click":{"event_id":"c7","time":"2026-03-14T00:00:00Z","link_id":"shop-ben","agreement_version":2}}}`)
	if e.Stamps.Click != nil || e.VisitorId != "rp3" || e.Stamps.Terms.AgreementVersion != 2 {
		t.Errorf("%v", e)
	}
	e = r.stored(replayKey, "shop/v:~e/rp4", `{"event_id":"rp4","visitor_id":"rp4","visit":{},"stamps":{"flags":["no_consent"]}}`)
	if e.Consent.GetState() != aftertouchv1.Consent_denied {
		t.Errorf("a flagged event has a person: %v", e)
	}
	e = r.stored(replayKey, "shop/o:purchase//rp5", `{"conversion":{"action":"purchase","order_id":"rp5","promo_codes":["ben10","anna10"]},
		"stamps":{"code_terms":[{"code":"BEN10","terms":{"agreement_id":"a-ben","agreement_version":1}}]}}`)
	if diff := cmp.Diff([]*aftertouchv1.CodeTerms{{Code: "BEN10", Terms: terms("ben", 1)}, {Code: "ANNA10", Terms: terms("anna", 1)}}, e.Stamps.CodeTerms, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}

func TestReplayRefuses(t *testing.T) {
	r := newRig(t)
	for name, c := range map[string]struct{ stamps, reason string }{
		"received ahead of the clock": {`{"received_time":"2026-03-15T12:00:00.001Z"}`, "future_event"},
		"unknown version":             {`{"terms":{"agreement_id":"a-anna","agreement_version":9}}`, "malformed"},
		"unknown agreement":           {`{"terms":{"agreement_id":"nobody","agreement_version":0}}`, "malformed"},
		"another agreement":           {`{"terms":{"agreement_id":"a-ben","agreement_version":1}}`, "agreement_mismatch"},
		"another creator":             {`{"terms":{"agreement_id":"a-anna","agreement_version":1,"creator_id":"ben"}}`, "agreement_mismatch"},
		"unknown version of a click":  {`{"click":{"event_id":"c","time":"2026-03-14T00:00:00Z","link_id":"shop-anna","agreement_version":9}}`, "malformed"},
		"unknown link of a click":     {`{"click":{"event_id":"c","time":"2026-03-14T00:00:00Z","link_id":"nowhere"}}`, "unknown_link"},
		"bad flag":                    {`{"flags":["x y"]}`, "malformed"},
	} {
		link := `"link":"shop-anna",`
		if c.reason == "malformed" {
			link = ""
		}
		if status, reason := r.send(replayKey, `{"visitor_id":"rr",`+link+`"visit":{},"stamps":`+c.stamps+`}`); status != "refused" || reason != c.reason {
			t.Errorf("%s: %s %s, want %s", name, status, reason, c.reason)
		}
	}
	if status, reason := r.send(replayKey, `{"conversion":{"action":"purchase","promo_codes":["X"]},"stamps":{"code_terms":[{"code":"x","terms":{"agreement_id":"a-anna","agreement_version":4}}]}}`); reason != "malformed" {
		t.Errorf("unknown version of a code: %s %s", status, reason)
	}
}
