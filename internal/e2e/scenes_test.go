package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// fields are the fields of an object in JSON.
type fields = map[string]any

// scene is a workspace with two creators, for scenarios that each bring their own people and orders.
type scene struct {
	*server
	name, key, web string
	noon           time.Time // two days ago, 12:00 UTC: the whole hours and days around it are free of edges
}

// newScene makes a workspace and what is agreed in it: ana counts what is clicked, ben also what was seen in view.
func newScene(t *testing.T, s *server, name string) *scene {
	t.Helper()
	var made struct {
		AdminKey string `json:"admin_key"`
	}
	s.call(t, http.MethodPost, "/v1/workspaces", fields{"workspace_id": name}, &made, http.StatusOK)
	c := &scene{server: s, name: name, key: made.AdminKey, noon: time.Now().UTC().Truncate(24 * time.Hour).Add(-36 * time.Hour)}
	c.register(t, "creators", fields{"creator_id": "ana"})
	c.register(t, "creators", fields{"creator_id": "ben"})
	c.register(t, "campaigns", fields{"campaign_id": "spring", "currency": "EUR", "start": c.at(-20 * day), "half_life": "604800s"})
	c.register(t, "agreements", fields{"agreement_id": "ana", "campaign_id": "spring", "creator_id": "ana", "relation": "paid"})
	c.register(t, "agreements", fields{
		"agreement_id": "ben", "campaign_id": "spring", "creator_id": "ben", "relation": "gift", "view_through": true,
		"windows": fields{"click": "7200s", "visit": "7200s"},
	})
	for _, creator := range []string{"ana", "ben"} {
		c.register(t, "placements", fields{"placement_id": creator + "-post", "agreement_id": creator, "kind": "post"})
		c.register(t, "links", fields{"link_id": c.link(creator), "agreement_id": creator, "target_url": "https://shop.example/"})
		c.register(t, "codes", fields{"code": creator + "10", "agreement_id": creator})
	}
	var web struct{ Key string }
	if _, body := c.request(t, http.MethodPost, "/v1/keys", fields{"kind": "web", "origins": []string{"*"}}, nil); json.Unmarshal(body, &web) != nil || web.Key == "" {
		t.Fatalf("making a web key: %s", body)
	}
	c.web = web.Key
	return c
}

// link returns the id of a creator's link; such ids are unique in the installation.
func (c *scene) link(creator string) string { return c.name + "-" + creator }

// browser returns the headers of a browser with the workspace's web key.
func (c *scene) browser(userAgent string) map[string]string {
	if userAgent == "" {
		userAgent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
	}
	return map[string]string{"Authorization": "Bearer " + c.web, "User-Agent": userAgent}
}

const day = 24 * time.Hour

func (c *scene) register(t *testing.T, kind string, object fields) {
	t.Helper()
	if status, body := c.request(t, http.MethodPost, "/v1/"+kind, object, nil); status != http.StatusOK {
		t.Fatalf("POST /v1/%s %v: %d %s", kind, object, status, body)
	}
}

// at returns the time so long after noon.
func (c *scene) at(after time.Duration) string { return c.noon.Add(after).Format(time.RFC3339Nano) }

// request calls the server with the workspace's key, unless the headers bring another one.
func (c *scene) request(t *testing.T, method, path string, in any, headers map[string]string) (int, []byte) {
	t.Helper()
	all := map[string]string{"Authorization": "Bearer " + c.key}
	for name, value := range headers {
		all[name] = value
	}
	status, _, body := c.exchange(t, method, path, in, all)
	return status, body
}

// exchange sends one request and follows no redirect; in is JSON unless it is text already.
func (s *server) exchange(t testing.TB, method, path string, in any, headers map[string]string) (int, http.Header, []byte) {
	t.Helper()
	var body io.Reader
	switch in := in.(type) {
	case nil:
	case string:
		body = strings.NewReader(in)
	default:
		text, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		body = bytes.NewReader(text)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, s.http+path, body)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return response.StatusCode, response.Header, answer
}

// post sends events that must all be taken.
func (c *scene) post(t *testing.T, headers map[string]string, events ...fields) {
	t.Helper()
	status, body := c.request(t, http.MethodPost, "/v1/events", fields{"events": events}, headers)
	var answer struct {
		Results []struct{ Status, Reason, Detail string }
	}
	if err := json.Unmarshal(body, &answer); err != nil || status != http.StatusOK || len(answer.Results) != len(events) {
		t.Fatalf("%d %s for %v", status, body, events)
	}
	for i, r := range answer.Results {
		if r.Status != "ok" {
			t.Fatalf("%v: %+v", events[i], r)
		}
	}
}

// with adds fields to an event; nil values take them away.
func with(e fields, more fields) fields {
	for name, value := range more {
		if e[name] = value; value == nil {
			delete(e, name)
		}
	}
	return e
}

// click is a click that the site itself measured, without a redirect.
func (c *scene) click(visitor, link string, after time.Duration) fields {
	return fields{"visitor_id": visitor, "link": link, "event_time": c.at(after), "click": fields{}}
}

func (c *scene) visit(visitor, link string, after time.Duration) fields {
	return fields{"visitor_id": visitor, "link": link, "event_time": c.at(after), "visit": fields{}}
}

func (c *scene) seen(visitor, placement, viewability string, after time.Duration) fields {
	return fields{"visitor_id": visitor, "placement": placement, "event_time": c.at(after), "impression": fields{"viewability": viewability}}
}

// buy is a purchase of 49.00 EUR; more are further fields of the conversion.
func (c *scene) buy(visitor, order string, after time.Duration, more fields) fields {
	conversion := with(fields{"action": "purchase", "order_id": order, "value_minor": 4900, "currency": "EUR"}, more)
	e := fields{"event_time": c.at(after), "conversion": conversion}
	if visitor != "" {
		e["visitor_id"] = visitor
	}
	return e
}

// follow follows a link and returns the click's token; the click happens now.
func (c *scene) token(t *testing.T, path string) string {
	t.Helper()
	status, header, _ := c.exchange(t, http.MethodGet, path, nil, nil)
	target, err := url.Parse(header.Get("Location"))
	if err != nil || status != http.StatusFound || target.Query().Get("at_click") == "" {
		t.Fatalf("%s: %d, leads to %q", path, status, header.Get("Location"))
	}
	return target.Query().Get("at_click")
}

// postback reports one event as a network does.
func (c *scene) postback(t *testing.T, parameters url.Values) {
	t.Helper()
	status, body := c.request(t, http.MethodGet, "/v1/postback?"+parameters.Encode(), nil, nil)
	if status != http.StatusOK || !strings.Contains(string(body), `"status":"ok"`) {
		t.Fatalf("postback %v: %d %s", parameters, status, body)
	}
}

// settle waits until everything in the log is applied: two looks in a row find no partition behind, at the same offsets.
func (c *scene) settle(t *testing.T) {
	t.Helper()
	last := ""
	await(t, "what is under way", "nothing", func() string {
		var answer struct {
			Partitions []struct {
				NextOffset string `json:"next_offset"`
				LagRecords string `json:"lag_records"`
			}
		}
		c.report(t, "health", &answer)
		now := fmt.Sprint(answer.Partitions)
		still := now == last
		last = now
		for _, p := range answer.Partitions {
			still = still && p.LagRecords == "0"
		}
		if still && len(answer.Partitions) > 0 {
			return "nothing"
		}
		return now
	})
}

// receipt is what the report says of one conversion.
type receipt struct {
	Conversion struct {
		Status, Reason, Currency, Time string
		ValueMinor                     string `json:"value_minor"`
		Flags                          []string
		Records                        int
	}
	PersonKind string `json:"person_kind"`
	Cause      string
	Revision   int
	Touches    []struct {
		Kind, Creator, Link, Placement, Reason string
		Eligible                               bool
		AgeS                                   string `json:"age_s"`
		Credit                                 map[string]string
		ValueMinor                             map[string]string `json:"value_minor"`
	}
	Totals json.RawMessage
}

// receipt returns the receipt of an order, or nil when there is none yet.
func (c *scene) receipt(t *testing.T, order string) *receipt {
	t.Helper()
	status, body := c.request(t, http.MethodGet, "/v1/reports/receipt?action=purchase&order_id="+url.QueryEscape(order), nil, nil)
	if status == http.StatusNotFound {
		return nil
	}
	var r receipt
	if err := json.Unmarshal(body, &r); err != nil || status != http.StatusOK {
		t.Fatalf("receipt of %s: %d %s", order, status, body)
	}
	return &r
}

// String writes the receipt as one line: the conversion, then its touches, oldest first, with the credit of last touch or
// with why they have none.
func (r *receipt) String() string {
	if r == nil {
		return "no receipt"
	}
	head := []string{r.Conversion.Status}
	if r.Conversion.Reason != "" {
		head[0] += ":" + r.Conversion.Reason
	}
	head = append(head, "of "+r.PersonKind, r.Conversion.ValueMinor+r.Conversion.Currency)
	if r.Conversion.Records != 1 {
		head = append(head, fmt.Sprintf("records=%d", r.Conversion.Records))
	}
	for _, flag := range r.Conversion.Flags {
		head = append(head, "flag="+flag)
	}
	var touches []string
	for _, touch := range r.Touches {
		what := touch.Reason
		if touch.Eligible {
			what = shortCredit(touch.Credit["last_touch"])
		}
		touches = append(touches, touch.Kind+" "+touch.Creator+" "+what)
	}
	return strings.Join(append([]string{strings.Join(head, " ")}, touches...), " | ")
}

func shortCredit(credit string) string {
	if strings.Contains(credit, ".") {
		credit = strings.TrimRight(strings.TrimRight(credit, "0"), ".")
	}
	return credit
}

// credits writes what the models give to each eligible touch, in minor units.
func (r *receipt) credits(models ...string) string {
	var lines []string
	for _, touch := range r.Touches {
		line := touch.Creator
		for _, model := range models {
			line += " " + touch.ValueMinor[model]
		}
		if touch.Eligible {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, " | ")
}

// await polls until get returns what is wanted.
func await(t *testing.T, what, want string, get func() string) {
	t.Helper()
	deadline := time.Now().Add(reportTimeout)
	for got := get(); got != want; got = get() {
		if time.Now().After(deadline) {
			t.Fatalf("%s:\n got %s\nwant %s", what, got, want)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// awaitReceipt waits until the order's receipt reads as it must.
func (c *scene) awaitReceipt(t *testing.T, order, want string) *receipt {
	t.Helper()
	var last *receipt
	await(t, "receipt of "+order, want, func() string { last = c.receipt(t, order); return last.String() })
	if last != nil {
		checkTotals(t, "receipt of "+order, last.Totals)
	}
	return last
}

// amount is conversions and their value as reports print them.
type amount struct {
	Conversions string
	Value       string `json:"value_minor"`
}

// checkTotals checks that a report adds up (A11): total = attributed + other + unattributed + excluded, exactly.
func checkTotals(t *testing.T, what string, raw json.RawMessage) {
	t.Helper()
	var totals map[string]struct {
		Total, Attributed, Other amount
		Unattributed, Excluded   map[string]amount
	}
	if err := json.Unmarshal(raw, &totals); err != nil {
		t.Fatalf("%s: %v in %s", what, err, raw)
	}
	for currency, sums := range totals {
		parts := []amount{sums.Attributed, sums.Other}
		for _, by := range []map[string]amount{sums.Unattributed, sums.Excluded} {
			for _, part := range by {
				parts = append(parts, part)
			}
		}
		var conversions, values []string
		for _, part := range parts {
			conversions, values = append(conversions, part.Conversions), append(values, part.Value)
		}
		if got := sum(t, conversions); got.Cmp(sum(t, []string{sums.Total.Conversions})) != 0 {
			t.Errorf("%s: %s: total is %s conversions, its parts are %s", what, currency, sums.Total.Conversions, got.FloatString(9))
		}
		if got := sum(t, values); got.Cmp(sum(t, []string{sums.Total.Value})) != 0 {
			t.Errorf("%s: %s: total is worth %s, its parts %s", what, currency, sums.Total.Value, got.FloatString(0))
		}
	}
}

func sum(t *testing.T, decimals []string) *big.Rat {
	t.Helper()
	total := new(big.Rat)
	for _, d := range decimals {
		n, ok := new(big.Rat).SetString(d)
		if !ok {
			t.Fatalf("%q is no decimal", d)
		}
		total.Add(total, n)
	}
	return total
}

// report returns a report of the workspace, whose totals add up.
func (c *scene) report(t *testing.T, query string, out any) {
	t.Helper()
	status, body := c.request(t, http.MethodGet, "/v1/reports/"+query, nil, nil)
	if status != http.StatusOK {
		t.Fatalf("%s: %d %s", query, status, body)
	}
	var totals struct{ Totals json.RawMessage }
	for _, into := range []any{&totals, out} {
		if err := json.Unmarshal(body, into); err != nil {
			t.Fatalf("%s: %v in %s", query, err, body)
		}
	}
	checkTotals(t, query, totals.Totals)
}

// health returns the counts of health with one outcome, as "kind reason gross/net", sorted.
func (c *scene) health(t *testing.T, outcome string) string {
	t.Helper()
	var answer struct {
		Rows []struct{ Outcome, Kind, Reason, Gross, Net string }
	}
	c.report(t, "health?from="+url.QueryEscape(c.at(-100*day)), &answer)
	var lines []string
	for _, row := range answer.Rows {
		if row.Outcome == outcome {
			lines = append(lines, strings.TrimSpace(row.Kind+" "+row.Reason)+" "+row.Gross+"/"+row.Net)
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, ", ")
}
