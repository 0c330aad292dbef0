package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

const hour = time.Hour

// scenario is a small story whose outcome follows from the rules by hand. Its visitors and orders are its own.
type scenario struct {
	name  string
	tell  func(t *testing.T, c *scene)
	order string
	want  string // the order's receipt
	// check looks at what the receipt's line does not show.
	check func(t *testing.T, c *scene, r *receipt)
}

// scenarios are told first and then looked at, so that they wait for the pipe together.
var scenarios = []scenario{
	{
		name: "what browser, server and network say of one order is one conversion",
		tell: func(t *testing.T, c *scene) {
			c.post(t, nil, c.click("one-v", c.link("ana"), 0))
			c.post(t, c.browser(""), c.buy("one-v", "one", hour, fields{"value_minor": 4000}))
			c.post(t, nil, c.buy("one-v", "one", hour+5*time.Minute, fields{"value_minor": 5000}))
			c.postback(t, url.Values{"action": {"purchase"}, "order_id": {"one"}, "value_minor": {"5000"}, "currency": {"EUR"}, "event_time": {c.at(hour + 10*time.Minute)}})
		},
		order: "one", want: "attributed of visitor 5000EUR records=3 flag=conflicting_value | click ana 1",
		check: func(t *testing.T, c *scene, r *receipt) { c.checkTime(t, r, hour) },
	},
	{
		name: "a conversion sent twice counts once",
		tell: func(t *testing.T, c *scene) {
			e := with(c.buy("twice-v", "twice", hour, nil), fields{"event_id": "twice-1"})
			c.post(t, nil, c.click("twice-v", c.link("ana"), 0), e)
			c.post(t, nil, e, e)
		},
		order: "twice", want: "attributed of visitor 4900EUR | click ana 1",
	},
	{
		name: "who clicks on the phone and buys on the laptop is one customer",
		tell: func(t *testing.T, c *scene) {
			c.post(t, nil, c.click("phone", c.link("ana"), 0),
				fields{"visitor_id": "phone", "user_key": "customer-1", "event_time": c.at(hour), "identify": fields{}},
				with(c.buy("laptop", "devices", 2*hour, nil), fields{"user_key": "customer-1"}))
		},
		order: "devices", want: "attributed of user 4900EUR | click ana 1",
	},
	{
		name: "what only the server knows is credited through the customer",
		tell: func(t *testing.T, c *scene) {
			c.post(t, nil, with(c.buy("", "server", 2*hour, nil), fields{"user_key": "customer-2"}))
			c.awaitReceipt(t, "server", "unattributed:no_touch of user 4900EUR")
			c.post(t, nil, c.click("tablet", c.link("ana"), 0),
				fields{"visitor_id": "tablet", "user_key": "customer-2", "event_time": c.at(3 * hour), "identify": fields{}})
		},
		order: "server", want: "attributed of user 4900EUR | click ana 1",
		check: func(t *testing.T, _ *scene, r *receipt) {
			if r.Revision < 2 {
				t.Errorf("revision %d, want a second one", r.Revision)
			}
		},
	},
	{
		name: "a touch that arrives after the conversion restates it",
		tell: func(t *testing.T, c *scene) {
			c.post(t, nil, c.buy("after-v", "after", hour, nil))
			c.awaitReceipt(t, "after", "unattributed:no_touch of visitor 4900EUR")
			c.post(t, nil, c.click("after-v", c.link("ana"), 0))
		},
		order: "after", want: "attributed of visitor 4900EUR | click ana 1",
		check: func(t *testing.T, _ *scene, r *receipt) {
			if r.Revision != 2 || r.Cause != "late_touch" {
				t.Errorf("revision %d because of %s, want 2 because of late_touch", r.Revision, r.Cause)
			}
		},
	},
	{
		name: "the visitor that lands with a token has its click",
		tell: func(t *testing.T, c *scene) {
			token := c.token(t, "/c/"+c.link("ana"))
			time.Sleep(5 * time.Millisecond) // the landing is not in the click's millisecond
			c.post(t, nil, fields{"visitor_id": "land-v", "click_id": token, "visit": fields{}})
			c.post(t, nil, with(c.buy("land-v", "landing", 0, nil), fields{"event_time": nil}))
		},
		order: "landing", want: "attributed of visitor 4900EUR | click ana 1 | visit ana click_evidence",
	},
	{
		name: "a token that names another visitor links the two",
		tell: func(t *testing.T, c *scene) {
			token := c.token(t, "/c/"+c.link("ana")+"?at_vid=named-v")
			time.Sleep(5 * time.Millisecond)
			c.post(t, nil, c.click("named-v", c.link("ana"), 0),
				fields{"visitor_id": "adopter-v", "click_id": token, "visit": fields{}},
				with(c.buy("adopter-v", "adopted", 0, nil), fields{"event_time": nil}))
		},
		order: "adopted", want: "attributed of visitor 4900EUR | click ana 0 | click ana 1 | visit ana click_evidence",
	},
	{
		name: "a copied link is a visit, and gives nobody the click",
		tell: func(t *testing.T, c *scene) {
			token := c.token(t, "/c/"+c.link("ana"))
			c.post(t, nil, with(c.visit("copy-v", "", hour), fields{"click_id": token, "link": nil}), c.buy("copy-v", "copied", 2*hour, nil))
		},
		order: "copied", want: "attributed of visitor 4900EUR | visit ana 1",
	},
	{
		name: "an order that knows only a token belongs to who adopted the click",
		tell: func(t *testing.T, c *scene) {
			token := c.token(t, "/c/"+c.link("ana"))
			time.Sleep(5 * time.Millisecond)
			c.post(t, nil, c.click("asked-v", c.link("ana"), 0), fields{"visitor_id": "asked-v", "click_id": token, "visit": fields{}})
			c.post(t, nil, with(c.buy("", "asked", 0, nil), fields{"event_time": nil, "click_id": token}))
		},
		order: "asked", want: "attributed of visitor 4900EUR | click ana 0 | click ana 1 | visit ana click_evidence",
	},
	{
		name: "touches over 30 days late take no part",
		tell: func(t *testing.T, c *scene) {
			c.post(t, nil, c.click("late-v", c.link("ana"), -29*day), c.buy("late-v", "late-touch", -day, nil))
		},
		order: "late-touch", want: "unattributed:no_eligible_touch of visitor 4900EUR | click ana late",
	},
	{
		name:  "conversions over 90 days late are excluded",
		tell:  func(t *testing.T, c *scene) { c.post(t, nil, c.buy("late-v", "late-order", -95*day, nil)) },
		order: "late-order", want: "excluded:late of nobody 4900EUR",
	},
	{
		name: "visits of one link in one half hour are one",
		tell: func(t *testing.T, c *scene) {
			for _, at := range []time.Duration{time.Minute, 29 * time.Minute, 31 * time.Minute} {
				c.post(t, nil, c.visit("grain-v", c.link("ana"), at))
			}
			c.post(t, nil, c.buy("grain-v", "grain", hour, nil))
		},
		order: "grain", want: "attributed of visitor 4900EUR | visit ana 0 | visit ana same_half_hour | visit ana 1",
		check: checkCredits("ana 2450 | ana 2450", "linear"),
	},
	{
		name: "a visit soon after a click on its link is evidence of the click",
		tell: func(t *testing.T, c *scene) {
			c.post(t, nil, c.click("proof-v", c.link("ana"), 0), c.visit("proof-v", c.link("ana"), 30*time.Minute),
				c.visit("proof-v", c.link("ana"), 31*time.Minute), c.buy("proof-v", "proof", hour, nil))
		},
		order: "proof", want: "attributed of visitor 4900EUR | click ana 0 | visit ana click_evidence | visit ana 1",
	},
	{
		name: "of an hour's touches the first 20 take part",
		tell: func(t *testing.T, c *scene) {
			var events []fields
			for i := range 11 {
				placement := fmt.Sprintf("cut-%d", i)
				c.register(t, "placements", fields{"placement_id": placement, "agreement_id": "ana"})
				for _, after := range []time.Duration{0, 30 * time.Minute} {
					events = append(events, with(c.visit("cut-v", "", after+time.Duration(i)*time.Second), fields{"link": nil, "placement": placement}))
				}
			}
			c.post(t, nil, append(events, c.buy("cut-v", "cut", hour, nil))...)
		},
		order: "cut", want: "attributed of visitor 4900EUR" + strings.Repeat(" | visit ana 0", 19) + " | visit ana 1 | visit ana cut | visit ana cut",
	},
	{
		name: "of a person's day the first 50 conversions take part",
		tell: func(t *testing.T, c *scene) {
			events := []fields{c.click("buyer-v", c.link("ana"), 0)}
			for i := range 51 {
				events = append(events, c.buy("buyer-v", fmt.Sprintf("day-%d", i+1), time.Duration(i+1)*time.Second, nil))
			}
			c.post(t, nil, events...)
		},
		order: "day-51", want: "unattributed:cut of visitor 4900EUR",
		check: func(t *testing.T, c *scene, _ *receipt) {
			c.awaitReceipt(t, "day-50", "attributed of visitor 4900EUR | click ana 1")
		},
	},
	{
		name: "what was seen counts where the agreement says so, and it was in view",
		tell: func(t *testing.T, c *scene) {
			c.post(t, nil, c.seen("seen-v", "ana-post", "viewable", 0), c.seen("seen-v", "ben-post", "viewable", hour),
				c.seen("seen-v", "ben-post", "unmeasured", 2*hour), c.seen("seen-v", "ben-post", "not_viewable", 3*hour),
				c.buy("seen-v", "seen", 25*hour, nil))
		},
		order: "seen", want: "attributed of visitor 4900EUR | impression ana kind_not_counted | impression ben 1 | impression ben unmeasured | impression ben not_viewable",
	},
	{
		name: "an impression is out of its window a millisecond after 24 hours",
		tell: func(t *testing.T, c *scene) {
			c.post(t, nil, c.seen("edge-v", "ben-post", "viewable", 0), c.buy("edge-v", "edge", 24*hour+time.Millisecond, nil))
		},
		order: "edge", want: "unattributed:no_eligible_touch of visitor 4900EUR | impression ben outside_window",
	},
	{
		name: "the agreement's window includes its end",
		tell: func(t *testing.T, c *scene) {
			c.post(t, nil, c.click("end-v", c.link("ben"), 0), c.buy("end-v", "end", 2*hour, nil))
		},
		order: "end", want: "attributed of visitor 4900EUR | click ben 1",
	},
	{
		name: "a promo code is the last touch, an unknown one a flag",
		tell: func(t *testing.T, c *scene) {
			c.post(t, nil, c.click("code-v", c.link("ben"), 0), c.buy("code-v", "code", hour, fields{"promo_codes": []string{" ana10 ", "NOPE"}}))
		},
		order: "code", want: "attributed of visitor 4900EUR flag=unknown_code | click ben 0 | code ana 1",
		check: checkCredits("ben 2450 4900 | ana 2450 0", "linear", "first_touch"),
	},
	{
		name: "one refusal of consent excludes the order",
		tell: func(t *testing.T, c *scene) {
			c.post(t, nil, c.click("denied-v", c.link("ana"), 0), c.buy("denied-v", "denied", hour, nil),
				with(c.buy("denied-v", "denied", 2*hour, nil), fields{"consent": fields{"state": "denied"}}))
		},
		order: "denied", want: "excluded:no_consent of nobody 4900EUR records=2",
	},
	{
		name: "robots are kept and earn nothing",
		tell: func(t *testing.T, c *scene) {
			c.post(t, c.browser("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"), c.click("robot-v", c.link("ana"), 0))
			c.post(t, nil, c.buy("robot-v", "robot", hour, nil))
		},
		order: "robot", want: "unattributed:no_eligible_touch of visitor 4900EUR | click ana invalid_traffic",
	},
	{
		name: "a touch before the campaign earns nothing",
		tell: func(t *testing.T, c *scene) {
			c.post(t, nil, c.click("early-v", c.link("ana"), -20*day-time.Millisecond), c.buy("early-v", "early", 0, nil))
		},
		order: "early", want: "unattributed:no_eligible_touch of visitor 4900EUR | click ana not_in_force",
	},
	{
		name: "a touch after the conversion is not of its journey",
		tell: func(t *testing.T, c *scene) {
			c.post(t, nil, c.click("before-v", c.link("ana"), hour), c.buy("before-v", "before", 0, nil))
		},
		order: "before", want: "unattributed:no_touch of visitor 4900EUR",
	},
	{
		name: "five models share one value",
		tell: func(t *testing.T, c *scene) {
			c.post(t, nil, c.click("model-v", c.link("ana"), -14*day), c.click("model-v", c.link("ana"), -7*day), c.click("model-v", c.link("ana"), 0),
				c.buy("model-v", "model", 0, nil))
		},
		order: "model", want: "attributed of visitor 4900EUR | click ana 0 | click ana 0 | click ana 1",
		check: checkCredits("ana 4900 0 1634 1960 700 | ana 0 0 1633 980 1400 | ana 0 4900 1633 1960 2800",
			"first_touch", "last_touch", "linear", "position_based", "time_decay"),
	},
	{
		name: "a click outranks a newer engagement",
		tell: func(t *testing.T, c *scene) {
			c.post(t, nil, c.click("class-v", c.link("ana"), 0),
				fields{"visitor_id": "class-v", "placement": "ben-post", "event_time": c.at(hour), "engagement": fields{"type": "like"}},
				c.buy("class-v", "class", 2*hour, nil))
		},
		order: "class", want: "attributed of visitor 4900EUR | click ana 1 | engagement ben 0",
		check: checkCredits("ana 4900 2450 | ben 0 2450", "first_touch", "linear"),
	},
	{
		name: "records of one order id a week apart are flagged",
		tell: func(t *testing.T, c *scene) {
			c.post(t, nil, c.buy("reused-v", "reused", -7*day-time.Millisecond, nil), c.buy("reused-v", "reused", 0, nil))
		},
		order: "reused", want: "unattributed:no_touch of visitor 4900EUR records=2 flag=order_id_reused",
	},
	{
		name:  "nobody's conversion is unattributed",
		tell:  func(t *testing.T, c *scene) { c.post(t, nil, c.buy("", "nobody", 0, nil)) },
		order: "nobody", want: "unattributed:no_person of nobody 4900EUR",
	},
	{
		name: "a conversion may have no value",
		tell: func(t *testing.T, c *scene) {
			c.post(t, nil, c.click("free-v", c.link("ana"), 0), c.buy("free-v", "free", hour, fields{"value_minor": nil, "currency": nil}))
		},
		order: "free", want: "attributed of visitor 0 | click ana 1",
	},
	{
		name: "a slow clock is put right",
		tell: func(t *testing.T, c *scene) {
			now := time.Now().UTC()
			c.post(t, nil, with(c.buy("clock-v", "clock", 0, nil), fields{
				"sent_time": now.Add(-hour).Format(time.RFC3339Nano), "event_time": now.Add(-hour - 10*time.Minute).Format(time.RFC3339Nano),
			}))
		},
		order: "clock", want: "unattributed:no_touch of visitor 4900EUR",
		check: func(t *testing.T, _ *scene, r *receipt) {
			at, err := time.Parse(time.RFC3339Nano, r.Conversion.Time)
			if ago := time.Since(at); err != nil || ago < 10*time.Minute || ago > 15*time.Minute {
				t.Errorf("the conversion is dated %s, want about ten minutes ago", r.Conversion.Time)
			}
		},
	},
	{
		name: "of two records with one event id the first received is the event",
		tell: func(t *testing.T, c *scene) {
			c.post(t, nil, with(c.click("same-v", c.link("ana"), 0), fields{"event_id": "same"}))
			time.Sleep(5 * time.Millisecond) // another millisecond of receipt
			c.post(t, nil, with(c.click("same-v", c.link("ben"), hour), fields{"event_id": "same"}), c.buy("same-v", "same", hour, nil))
		},
		order: "same", want: "attributed of visitor 4900EUR | click ana 1",
	},
	{
		name: "a touch keeps the terms that were agreed when it happened",
		tell: func(t *testing.T, c *scene) {
			c.register(t, "agreements", fields{"agreement_id": "terms", "campaign_id": "spring", "creator_id": "ana", "windows": fields{"click": "3600s"}})
			c.register(t, "placements", fields{"placement_id": "terms", "agreement_id": "terms"})
			status, body := c.request(t, http.MethodPut, "/v1/agreements/terms", fields{"replaces_version": 1, "windows": fields{"click": "864000s"}}, nil)
			if status != http.StatusOK {
				t.Fatalf("changing the agreement: %d %s", status, body)
			}
			c.post(t, nil, with(c.click("terms-v", "", 0), fields{"link": nil, "placement": "terms"}), c.buy("terms-v", "terms", 2*hour, nil))
		},
		order: "terms", want: "unattributed:no_eligible_touch of visitor 4900EUR | click ana outside_window",
	},
}

// TestScenariosComeOutAsByHand tells small stories through the public interface and compares receipts with what the rules
// say; then it looks again when nothing is under way any more, and adds up what every report says of all of them.
func TestScenariosComeOutAsByHand(t *testing.T) {
	s := start(t, t.TempDir(), "--collector-refusal-interval=1s")
	c := newScene(t, s, "stories")
	for _, story := range scenarios {
		story.tell(t, c)
	}
	for _, story := range scenarios {
		t.Run(story.name, func(t *testing.T) {
			r := c.awaitReceipt(t, story.order, story.want)
			if story.check != nil {
				story.check(t, c, r)
			}
		})
	}
	t.Run("exposure", func(t *testing.T) { testExposure(t, newScene(t, s, "exposure")) })
	t.Run("consent", func(t *testing.T) { testConsent(t, newScene(t, s, "consent")) })
	t.Run("health", func(t *testing.T) { testHealth(t, newScene(t, s, "health")) })
	c.settle(t)
	for _, story := range scenarios {
		if got := c.receipt(t, story.order).String(); got != story.want {
			t.Errorf("%s: changed later:\n got %s\nwant %s", story.name, got, story.want)
		}
	}
	c.checkReports(t, len(scenarios)+50)
	if status := s.terminate(t); status != 0 {
		t.Errorf("SIGTERM: exit status %d", status)
	}
}

// checkCredits compares the value that the models give to each eligible touch.
func checkCredits(want string, models ...string) func(*testing.T, *scene, *receipt) {
	return func(t *testing.T, _ *scene, r *receipt) {
		if got := r.credits(models...); got != want {
			t.Errorf("%s: got %s, want %s", strings.Join(models, " "), got, want)
		}
	}
}

func (c *scene) checkTime(t *testing.T, r *receipt, after time.Duration) {
	t.Helper()
	if at, err := time.Parse(time.RFC3339Nano, r.Conversion.Time); err != nil || !at.Equal(c.noon.Add(after)) {
		t.Errorf("the conversion is dated %s, want %s", r.Conversion.Time, c.at(after))
	}
}

// credited is what a model credits to a row of performance.
type credited struct {
	Currency, Conversions string
	Value                 string `json:"value_minor"`
}

type creditRow struct{ Credits []credited }

// sumOf adds up what rows show of one model in one currency.
func sumOf(t *testing.T, rows []creditRow, currency string) amount {
	t.Helper()
	var conversions, values []string
	for _, row := range rows {
		for _, credit := range row.Credits {
			if credit.Currency == currency {
				conversions, values = append(conversions, credit.Conversions), append(values, credit.Value)
			}
		}
	}
	return amount{sum(t, conversions).FloatString(9), sum(t, values).FloatString(0)}
}

// checkReports checks that every way to ask for the same conversions adds up to the same.
func (c *scene) checkReports(t *testing.T, conversions int) {
	t.Helper()
	type totals map[string]struct{ Total, Attributed amount }
	period := "from=" + c.at(-100*day) + "&to=" + c.at(100*day)
	want := fmt.Sprintf("%d.000000000", conversions)
	for _, query := range []string{
		"performance", "performance?model=linear", "performance?model=time_decay&by=creator,link,placement,day", "performance?campaign=spring",
		"performance?creator=ben&model=position_based", "performance?by=day&tz=America/St_Johns&model=linear", "performance?limit=1&model=first_touch", "exposure", "exposure?by=campaign,creator",
		"conversions?limit=7", "conversions?creator=ana", "health",
	} {
		separator := "?"
		if strings.Contains(query, "?") {
			separator = "&"
		}
		var answer struct {
			Rows   []creditRow
			Totals totals
		}
		c.report(t, query+separator+period, &answer)
		var sums []string
		for currency, part := range answer.Totals {
			sums = append(sums, part.Total.Conversions)
			if strings.HasPrefix(query, "performance?") && strings.Contains(query, "model=") {
				if got := sumOf(t, answer.Rows, currency); got != part.Attributed {
					t.Errorf("%s: the rows have %v in %q, attributed are %v", query, got, currency, part.Attributed)
				}
			}
		}
		if got := sum(t, sums).FloatString(9); got != want {
			t.Errorf("%s: %s conversions in total, want %s", query, got, want)
		}
	}
	var touches struct{ Totals json.RawMessage }
	c.report(t, "performance?basis=touch&model=linear&"+period, &touches)
}
