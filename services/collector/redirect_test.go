package collector

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/clicktoken"
	"github.com/aftertouch-io/aftertouch/internal/event"
	"github.com/google/go-cmp/cmp"
)

// click follows a link and returns what its token says; nil when the target has none.
func (r *rig) click(workspace, path string, headers ...string) *clicktoken.Click {
	r.t.Helper()
	status, _, h := r.get(path, headers...)
	location, err := url.Parse(h.Get("Location"))
	if status != 302 || err != nil {
		r.t.Fatalf("%s: %d %v", path, status, h)
	}
	if location.Host != "shop.example" || location.Path != "/land" || location.Query().Get("x") != "1" || location.Fragment != "top" {
		r.t.Fatalf("%s: leads to %s", path, location)
	}
	if h.Get("Set-Cookie") != "" || h.Get("Cache-Control") != "no-store" {
		r.t.Errorf("%s: %v", path, h)
	}
	token := location.Query().Get("at_click")
	if token == "" {
		return nil
	}
	w, _ := r.world.view.Workspace(workspace)
	sealer, err := clicktoken.NewSealer(workspace, w.TokenKey)
	if err != nil {
		r.t.Fatal(err)
	}
	c, err := sealer.Open(token)
	if err != nil {
		r.t.Fatal(err)
	}
	return &c
}

func TestRedirectWritesTheClickAndItsToken(t *testing.T) {
	r := newRig(t)
	c := r.click("shop", "/c/shop-ben?x=7&url=https://evil.example", "Referer", "https://blog.example/p?q=1")
	want := clicktoken.Click{EventID: c.EventID, LinkID: "shop-ben", Time: now.UnixMilli(), AgreementVersion: 2}
	if diff := cmp.Diff(want, *c); diff != "" {
		t.Error(diff)
	}
	e := r.only("shop/v:~c/" + c.EventID)
	if e.EventId != c.EventID || e.GetClick() == nil || e.VisitorId != "" || e.Stamps.Click != nil || e.Link != "shop-ben" || e.Placement != "p-ben" ||
		e.Referrer != "https://blog.example/p" || e.Stamps.Source != aftertouchv1.Stamps_browser || e.Stamps.Terms.GetAgreementVersion() != 2 {
		t.Errorf("%v", e)
	}
}

func TestRedirectKnowsTheVisitorOnlyWithConsent(t *testing.T) {
	r := newRig(t)
	for name, c := range map[string]struct {
		workspace, query string
		headers          []string
		visitor          string
		token, denied    bool
	}{
		"parameter":                         {"shop", "?at_vid=vq", nil, "vq", true, false},
		"cookie":                            {"shop", "", []string{"Cookie", "at_vid=vc"}, "vc", true, false},
		"placeholder":                       {"shop", "?at_vid=undefined", nil, "", true, false},
		"e-mail":                            {"shop", "?at_vid=jo@example.com", nil, "", true, false},
		"browser refuses":                   {"shop", "?at_vid=vq", []string{"Sec-GPC", "1"}, "", false, true},
		"page says denied":                  {"shop", "?at_vid=vq&at_consent=denied", nil, "", false, true},
		"consent required, nothing said":    {"strict", "?at_vid=vq", nil, "", true, false},
		"consent required, granted":         {"strict", "?at_vid=vq&at_consent=granted", nil, "vq", true, false},
		"consent required, browser refuses": {"strict", "?at_vid=vq&at_consent=granted", []string{"DNT", "1"}, "", false, true},
	} {
		r.markEnd()
		token := r.click(c.workspace, "/c/"+c.workspace+"-anna"+c.query, c.headers...)
		if (token != nil) != c.token || token != nil && token.VisitorID != c.visitor {
			t.Errorf("%s: token %+v", name, token)
		}
		for key, recs := range r.logged() {
			e := recs[0].Event
			prefix := c.workspace + "/v:~c/"
			if c.denied {
				prefix = c.workspace + "/v:~e/"
			}
			if !strings.HasPrefix(key, prefix) || e.VisitorId != c.visitor || slices.Contains(e.Stamps.Flags, event.FlagNoConsent) != c.denied {
				t.Errorf("%s: %s %v", name, key, e)
			}
		}
		if len(r.logged()) != 1 {
			t.Errorf("%s: %d records", name, len(r.logged()))
		}
	}
}

func TestRedirectRefusesUnknownAndRevokedLinks(t *testing.T) {
	r := newRig(t)
	for _, path := range []string{"/c/nowhere", "/c/gone", "/c/nowhere?info"} {
		if status, answer, h := r.get(path); status != 404 || answer.Reason != "unknown_link" || h.Get("Location") != "" {
			t.Errorf("%s: %d %+v", path, status, answer)
		}
	}
	if n := r.metric("aftertouch_collector_rejected_events_total", "transport", "redirect", "reason", "unknown_link"); n != 3 {
		t.Errorf("counted %v", n)
	}
}

func TestRedirectDoesNotWaitForTheLog(t *testing.T) {
	r := newRig(t)
	r.log.slow.Store(int64(time.Second))
	began := time.Now()
	c := r.click("shop", "/c/shop-anna")
	if took := time.Since(began); took > 500*time.Millisecond || c == nil {
		t.Errorf("took %v, token %v", took, c)
	}
	eventually(t, "the click is logged all the same", func() bool { return len(r.logged()["shop/v:~c/"+c.EventID]) == 1 })
	r.log.slow.Store(0)
	r.log.down.Store(true)
	if c := r.click("shop", "/c/shop-anna"); c == nil {
		t.Error("no token while the brokers are down")
	}
	if n := r.metric("aftertouch_collector_lost_events_total"); n != 1 {
		t.Errorf("%v lost clicks counted", n)
	}
}

func TestHeadIsNoClickAndRobotsAreFlagged(t *testing.T) {
	r := newRig(t)
	req, err := http.NewRequestWithContext(context.Background(), http.MethodHead, r.http.URL+"/c/shop-anna", nil)
	if err != nil {
		t.Fatal(err)
	}
	if status, _, h := r.do(req); status != 302 || strings.Contains(h.Get("Location"), "at_click") {
		t.Errorf("HEAD: %d %v", status, h)
	}
	if n := len(r.logged()); n != 0 {
		t.Errorf("HEAD wrote %d records", n)
	}
	c := r.click("shop", "/c/shop-anna", "User-Agent", "facebookexternalhit/1.1")
	if e := r.only("shop/v:~c/" + c.EventID); !slices.Contains(e.Stamps.Flags, event.FlagRobot) {
		t.Errorf("%v", e)
	}
}

func TestInfoPageSaysWhatTheLinkIs(t *testing.T) {
	r := newRig(t)
	status, _, h := r.get("/c/shop-anna?info")
	body := h.Get("Test-Body")
	if status != 200 || !strings.HasPrefix(h.Get("Content-Type"), "text/html") {
		t.Fatalf("%d %v", status, h)
	}
	for _, want := range []string{"shop-anna", "shop.example", "The Shop", "Spring", "ANNA", "is paid by the advertiser", "#ad"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if len(r.logged()) != 0 {
		t.Error("looking at the page counted as a click")
	}
}

func TestAddParameter(t *testing.T) {
	for address, want := range map[string]string{
		"https://a.example":          "https://a.example?n=v",
		"https://a.example/?":        "https://a.example/?n=v",
		"https://a.example/?x=1":     "https://a.example/?x=1&n=v",
		"https://a.example/?x=1&":    "https://a.example/?x=1&n=v",
		"https://a.example/p#f?x":    "https://a.example/p?n=v#f?x",
		"https://a.example/p?x=%20#": "https://a.example/p?x=%20&n=v#",
	} {
		if got := addParameter(address, "n", "v"); got != want {
			t.Errorf("%s: got %s, want %s", address, got, want)
		}
	}
}
