package e2e

import (
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// testExposure puts one person of each kind into a period, and counts them by hand (X1 to X4).
func testExposure(t *testing.T, c *scene) {
	ana := c.link("ana")
	c.post(t, nil,
		c.click("acted", ana, 0), c.buy("acted", "acted", 30*time.Minute, nil),
		c.click("after", ana, 0), c.buy("after", "after", 2*hour, nil),
		c.buy("before", "before", -30*time.Minute, nil), c.click("before", ana, 0),
		c.click("idle", ana, 0),
		// Two browsers of one customer are one person; the window of one hour includes its end.
		c.click("phone", ana, 0), c.visit("laptop", ana, 20*time.Minute),
		fields{"visitor_id": "phone", "user_key": "customer", "event_time": c.at(0), "identify": fields{}},
		with(c.buy("laptop", "devices", hour, nil), fields{"user_key": "customer"}),
		// Seen in view exposes, though it earns nothing; what was not in view, or only a code, does not.
		c.seen("saw", "ana-post", "viewable", 0), c.seen("missed", "ana-post", "not_viewable", 0),
		c.buy("coder", "code", hour, fields{"promo_codes": []string{"ANA10"}}),
		c.buy("stranger", "stranger", hour, nil),
		with(c.click("refuser", ana, 0), fields{"consent": fields{"state": "denied"}}),
	)
	c.post(t, c.browser("Googlebot/2.1 (+http://www.google.com/bot.html)"), c.click("robot", ana, 0))

	type rate struct {
		Value, Low, High float64
		N                string
	}
	type row struct {
		Creator, Action, Exposed, Clicked, Acted, After, Before, None string
		WindowOpen                                                    string `json:"window_open"`
		UnexposedActed                                                string `json:"unexposed_acted"`
		ActedRate                                                     rate   `json:"acted_rate"`
		Exact                                                         bool
	}
	// 2 of 6, z = 1.96: the interval by Wilson's formula is 0.0968 to 0.7000.
	want := row{
		Creator: "ana", Action: "purchase", Exposed: "6", Clicked: "5", Acted: "2", After: "1", Before: "1", None: "2",
		WindowOpen: "0", UnexposedActed: "2", Exact: true, ActedRate: rate{0.333, 0.097, 0.7, "6"},
	}
	period := "&from=" + url.QueryEscape(c.at(-hour)) + "&to=" + url.QueryEscape(c.at(12*hour))
	await(t, "exposure", "", func() string {
		var answer struct{ Rows []row }
		c.report(t, "exposure?action=purchase&creator=ana&within=1h"+period, &answer)
		for i := range answer.Rows {
			r := &answer.Rows[i].ActedRate
			r.Value, r.Low, r.High = thousandths(r.Value), thousandths(r.Low), thousandths(r.High)
		}
		return cmp.Diff([]row{want}, answer.Rows)
	})
	checkExposurePerformance(t, c, period)
}

func thousandths(x float64) float64 { return float64(int(x*1000+0.5)) / 1000 }

// checkExposurePerformance looks at the same people in the report of what was done.
func checkExposurePerformance(t *testing.T, c *scene, period string) {
	t.Helper()
	type credit struct {
		Model, Conversions string
		Value              string `json:"value_minor"`
	}
	type row struct {
		Creator, Impressions, Viewable, Visits, Clicks, Exposed, Acted, Invalid string
		Credits                                                                 []credit
	}
	type report struct {
		Rows   []row
		Totals map[string]struct {
			Total, Attributed, Other amount
			Unattributed, Excluded   map[string]amount
		}
	}
	var got report
	c.report(t, "performance?campaign=spring&model=last_touch"+period, &got)
	want := []row{{
		Creator: "ana", Impressions: "2", Viewable: "1", Visits: "1", Clicks: "6", Exposed: "6", Acted: "3", Invalid: "1",
		Credits: []credit{{"last_touch", "4.000000000", "19600"}},
	}}
	if diff := cmp.Diff(want, got.Rows); diff != "" {
		t.Errorf("performance (-want +got):\n%s", diff)
	}
	sums := got.Totals["EUR"]
	if diff := cmp.Diff([]amount{{"6.000000000", "29400"}, {"4.000000000", "19600"}, {"0.000000000", "0"}, {"2.000000000", "9800"}},
		[]amount{sums.Total, sums.Attributed, sums.Other, sums.Unattributed["no_touch"]}); diff != "" {
		t.Errorf("totals (-want +got):\n%s", diff)
	}
}

// testHealth sends a few events of each fate and looks them up (E7).
func testHealth(t *testing.T, c *scene) {
	copied := c.token(t, "/c/"+c.link("ana"))
	again := with(c.click("v", c.link("ana"), 0), fields{"event_id": "again"})
	c.post(t, nil, again, again, c.visit("v", c.link("ana"), -31*day), // late, before the campaign
		with(c.visit("copier", "", 0), fields{"click_id": copied, "link": nil}),
		with(c.visit("v", "", 0), fields{"click_id": "AAAA", "link": nil}),
		with(c.visit("v", c.link("ana"), 0), fields{"consent": fields{"state": "denied"}}),
		with(c.buy("v", "health", hour, fields{"promo_codes": []string{"NOPE"}}), fields{"event_time": time.Now().Add(hour).Format(time.RFC3339)}))
	c.post(t, c.browser("Googlebot/2.1 (+http://www.google.com/bot.html)"), c.visit("robot", c.link("ana"), 0))
	for range 2 {
		c.request(t, "POST", "/v1/events", fields{"events": []fields{{"visit": fields{}, "link": "nope"}}}, nil)
	}
	c.exchange(t, "GET", "/v1/pixel.gif?key="+c.web+"&type=conversion&action=purchase&value_minor=-1&currency=EUR", nil, nil)

	for outcome, want := range map[string]string{
		"accepted":  "click 3/2, conversion 1/1, visit 5/4",
		"duplicate": "click 1/0",
		"flagged": "conversion clamped_time 1/1, conversion unknown_code 1/1, visit late 1/1, visit no_consent 1/1, visit not_in_force 1/1, " +
			"visit robot 1/0, visit share 1/1, visit unknown_token 1/1",
		"refused": "http unknown_link 2/0, pixel negative_value 1/0",
	} {
		await(t, outcome, want, func() string { return c.health(t, outcome) })
	}
}

// testConsent asks for consent before anything is known of anybody (P2).
func testConsent(t *testing.T, c *scene) {
	change := fields{"consent_required": true, "honour_do_not_track": true, "replaces_version": 1}
	if status, body := c.request(t, "PUT", "/v1/workspaces/"+c.name, change, nil); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	granted := func(e fields) fields { return with(e, fields{"consent": fields{"state": "granted"}}) }
	token := c.token(t, "/c/"+c.link("ana")+"?at_vid=yes-v") // nobody was asked yet: the click is nobody's
	time.Sleep(5 * time.Millisecond)
	c.post(t, nil, granted(fields{"visitor_id": "yes-v", "click_id": token, "visit": fields{}}),
		granted(with(c.buy("yes-v", "yes", 0, nil), fields{"event_time": nil})),
		c.click("silent-v", c.link("ana"), 0), c.buy("silent-v", "silent", hour, nil))
	untracked := c.browser("")
	untracked["DNT"] = "1"
	c.post(t, untracked, granted(c.click("untracked-v", c.link("ana"), 0)), granted(c.buy("untracked-v", "untracked", hour, nil)))

	c.awaitReceipt(t, "yes", "attributed of visitor 4900EUR | click ana 1 | visit ana click_evidence")
	c.awaitReceipt(t, "silent", "excluded:no_consent of nobody 4900EUR")
	c.awaitReceipt(t, "untracked", "excluded:no_consent of nobody 4900EUR")
	var answer struct {
		Rows []struct{ Exposed, Acted string }
	}
	c.report(t, "exposure?creator=ana", &answer)
	if len(answer.Rows) != 1 || answer.Rows[0].Exposed != "1" || answer.Rows[0].Acted != "1" {
		t.Errorf("exposed are %+v, want the one who agreed", answer.Rows)
	}
}
