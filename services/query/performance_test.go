package query_test

import (
	"fmt"
	"log/slog"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/attribution"
	"github.com/aftertouch-io/aftertouch/internal/event"
	"github.com/aftertouch-io/aftertouch/services/query"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/protobuf/testing/protocmp"
)

const whole = attribution.CreditUnit

// campaignWorld is a small campaign whose report is worked out by hand below.
func campaignWorld(t *testing.T) *world {
	w := newWorld(t)
	w.touch(touch{entity: "v:a", kind: "viewable", creator: "ann", at: daysAgo(10)})
	w.touch(touch{entity: "v:a", kind: "viewable", creator: "ann", at: daysAgo(9)})
	w.touch(touch{entity: "v:b", kind: "unmeasured", creator: "ann", at: daysAgo(9)})
	w.touch(touch{entity: "v:c", kind: "viewable", creator: "ann", at: daysAgo(9), flags: []string{event.FlagRobot}})
	w.touch(touch{entity: "v:~c/1", kind: "click", creator: "ann", at: daysAgo(8), link: "l1"})
	w.link("v:~c/1", "v:a")
	w.touch(touch{entity: "v:~c/2", kind: "click", creator: "ann", at: daysAgo(8), link: "l1"}) // nobody adopts it
	w.touch(touch{entity: "v:d", kind: "visit", creator: "bob", campaign: "summer", at: daysAgo(3)})
	w.touch(touch{entity: "v:d", kind: "visit", at: daysAgo(3)}) // no agreement
	w.touch(touch{entity: "v:e", kind: "visit", creator: "bob", at: daysAgo(40)})

	w.convert(conversion{order: "1", person: "v:a", at: daysAgo(7), value: 1001, currency: "EUR", credit: []creditOf{
		{creator: "ann", link: "l1", before: 24 * time.Hour, parts: []uint32{whole, 0, whole / 2, whole / 2, 333_333_333}, value: []int64{1001, 0, 501, 501, 334}},
		{creator: "bob", campaign: "summer", before: time.Hour, parts: []uint32{0, whole, whole / 2, whole / 2, 666_666_667}, value: []int64{0, 1001, 500, 500, 667}},
	}})
	w.convert(conversion{order: "2", person: "v:z", at: daysAgo(6), value: 500, currency: "EUR"})
	w.convert(conversion{order: "3", person: "v:z", at: daysAgo(6), value: 70, currency: "USD", status: attribution.Excluded, reason: attribution.ReasonLate})
	w.convert(conversion{order: "4", action: "signup", person: "v:a", at: daysAgo(6), credit: []creditOf{
		{creator: "ann", link: "l1", before: 48 * time.Hour, parts: []uint32{whole}, value: []int64{0}},
	}})
	w.convert(conversion{order: "5", person: "v:a", at: daysAgo(45), value: 9, currency: "EUR"}) // before the period
	w.insert()
	return w
}

func credits(list ...string) (out []*aftertouchv1.ModelCredit) {
	for _, line := range list {
		var c aftertouchv1.ModelCredit
		if _, err := fmt.Sscanf(line, "%s %s %s %d", &c.Model, &c.Currency, &c.Conversions, &c.ValueMinor); err != nil {
			panic(err)
		}
		if c.Currency == "-" {
			c.Currency = ""
		}
		out = append(out, &c)
	}
	return out
}

func totalsOf(text string) *aftertouchv1.Totals {
	t := &aftertouchv1.Totals{Unattributed: map[string]*aftertouchv1.Amount{}, Excluded: map[string]*aftertouchv1.Amount{}}
	for part := range strings.SplitSeq(text, ", ") {
		a := &aftertouchv1.Amount{}
		var name string
		if _, err := fmt.Sscanf(part, "%s %s %d", &name, &a.Conversions, &a.ValueMinor); err != nil {
			panic(err)
		}
		name, reason, _ := strings.Cut(name, ":")
		switch name {
		case "total":
			t.Total = a
		case "attributed":
			t.Attributed = a
		case "other":
			t.Other = a
		case "unattributed":
			t.Unattributed[reason] = a
		case "excluded":
			t.Excluded[reason] = a
		}
	}
	return t
}

func TestPerformanceSaysWhatWasWorkedOutByHand(t *testing.T) {
	w := campaignWorld(t)
	want := []*aftertouchv1.PerformanceRow{
		{
			Campaign: "summer", Creator: "bob", Visits: 1, Exposed: 1, Exact: true, TimeToConvertP50S: 3600,
			Credits: credits("first_touch EUR 0.000000000 0", "last_touch EUR 1.000000000 1001", "linear EUR 0.500000000 500",
				"position_based EUR 0.500000000 500", "time_decay EUR 0.666666667 667"),
		},
		{
			// v:a is exposed by impressions and through the click that it adopted. Nobody knows who made the other click.
			Campaign: "spring", Creator: "ann", Impressions: 3, Viewable: 2, Clicks: 2, Invalid: 1, Exposed: 1, Acted: 1, Exact: true,
			TimeToConvertP50S: 24 * 3600,
			Credits: credits("first_touch - 1.000000000 0", "first_touch EUR 1.000000000 1001", "last_touch - 1.000000000 0",
				"last_touch EUR 0.000000000 0", "linear - 1.000000000 0", "linear EUR 0.500000000 501",
				"position_based - 1.000000000 0", "position_based EUR 0.500000000 501", "time_decay - 1.000000000 0", "time_decay EUR 0.333333333 334"),
		},
	}
	wantTotals := map[string]*aftertouchv1.Totals{
		"":    totalsOf("total 1.000000000 0, attributed 1.000000000 0, other 0.000000000 0"),
		"EUR": totalsOf("total 2.000000000 1501, attributed 1.000000000 1001, other 0.000000000 0, unattributed:no_touch 1.000000000 500"),
		"USD": totalsOf("total 1.000000000 70, attributed 0.000000000 0, other 0.000000000 0, excluded:late 1.000000000 70"),
	}
	check := func(name string) {
		t.Helper()
		got, err := w.service.Performance(w.as(readKey), &aftertouchv1.Parameters{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		// Rows with the same credit of last_touch: the one with more exposed people is first, here both have one.
		if diff := cmp.Diff(want, byName(got.Rows), protocmp.Transform()); diff != "" {
			t.Errorf("%s: rows (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff(wantTotals, got.Totals, protocmp.Transform()); diff != "" {
			t.Errorf("%s: totals (-want +got):\n%s", name, diff)
		}
	}
	check("live")
	w.derive()
	check("derived")
}

// byName puts bob before ann, as the expectations have it.
func byName(rows []*aftertouchv1.PerformanceRow) []*aftertouchv1.PerformanceRow {
	if len(rows) == 2 && rows[0].Creator == "ann" {
		rows[0], rows[1] = rows[1], rows[0]
	}
	return rows
}

func TestPerformanceFilters(t *testing.T) {
	w := campaignWorld(t)
	w.derive()
	for name, c := range map[string]struct {
		p      *aftertouchv1.Parameters
		totals map[string]*aftertouchv1.Totals
		rows   int
	}{
		"creator": {&aftertouchv1.Parameters{Creator: "ann", Model: "linear", Action: "purchase"}, map[string]*aftertouchv1.Totals{
			"EUR": totalsOf("total 2.000000000 1501, attributed 0.500000000 501, other 0.500000000 500, unattributed:no_touch 1.000000000 500"),
			"USD": totalsOf("total 1.000000000 70, attributed 0.000000000 0, other 0.000000000 0, excluded:late 1.000000000 70"),
		}, 1},
		"campaign": {&aftertouchv1.Parameters{Campaign: "summer", Model: "time_decay", Action: "purchase"}, map[string]*aftertouchv1.Totals{
			"EUR": totalsOf("total 2.000000000 1501, attributed 0.666666667 667, other 0.333333333 334, unattributed:no_touch 1.000000000 500"),
			"USD": totalsOf("total 1.000000000 70, attributed 0.000000000 0, other 0.000000000 0, excluded:late 1.000000000 70"),
		}, 1},
		"action": {&aftertouchv1.Parameters{Action: "signup"}, map[string]*aftertouchv1.Totals{
			"": totalsOf("total 1.000000000 0, attributed 1.000000000 0, other 0.000000000 0"),
		}, 2},
		"limit": {&aftertouchv1.Parameters{Limit: 1, Model: "last_touch", Action: "purchase"}, map[string]*aftertouchv1.Totals{
			"EUR": totalsOf("total 2.000000000 1501, attributed 1.000000000 1001, other 0.000000000 0, unattributed:no_touch 1.000000000 500"),
			"USD": totalsOf("total 1.000000000 70, attributed 0.000000000 0, other 0.000000000 0, excluded:late 1.000000000 70"),
		}, 1},
		"nothing in the period": {&aftertouchv1.Parameters{From: "2020-01-01", To: "2020-02-01"}, map[string]*aftertouchv1.Totals{}, 0},
	} {
		got, err := w.service.Performance(w.as(readKey), c.p)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(c.totals, got.Totals, protocmp.Transform()); diff != "" {
			t.Errorf("%s: totals (-want +got):\n%s", name, diff)
		}
		if len(got.Rows) != c.rows {
			t.Errorf("%s: %d rows, want %d", name, len(got.Rows), c.rows)
		}
	}
}

// randomConversions puts conversions with random credit, values and outcomes into the world.
func randomConversions(w *world, rnd *rand.Rand, n int) {
	creators, campaigns := []string{"ann", "bob", "cy"}, []string{"spring", "summer"}
	for i := range n {
		c := conversion{
			order: fmt.Sprint(i), person: fmt.Sprintf("v:%d", rnd.IntN(20)), at: daysAgo(rnd.Float64() * 40), value: int64(rnd.IntN(100_000)),
			currency: []string{"EUR", "USD"}[rnd.IntN(2)], action: []string{"purchase", "signup"}[rnd.IntN(2)],
		}
		switch rnd.IntN(6) {
		case 0:
			c.status, c.reason = attribution.Excluded, []string{attribution.ReasonLate, attribution.ReasonNoConsent}[rnd.IntN(2)]
		case 1:
			c.reason = attribution.ReasonNoPerson
			c.status = attribution.Unattributed
		default:
			touches := 1 + rnd.IntN(5)
			parts, values := make([][]uint32, attribution.NumModels), make([][]int64, attribution.NumModels)
			for m := range parts {
				parts[m], values[m] = split[uint32](rnd, whole, touches), split(rnd, c.value, touches)
			}
			for k := range touches {
				x := creditOf{creator: creators[rnd.IntN(3)], campaign: campaigns[rnd.IntN(2)], before: time.Duration(rnd.Int64N(int64(30 * 24 * time.Hour)))}
				for m := range parts {
					x.parts, x.value = append(x.parts, parts[m][k]), append(x.value, values[m][k])
				}
				c.credit = append(c.credit, x)
			}
		}
		w.convert(c)
	}
}

// split cuts a whole into n random parts.
func split[T uint32 | int64](rnd *rand.Rand, whole T, n int) []T {
	parts := make([]T, n)
	for i := range n - 1 {
		parts[i] = T(rnd.Int64N(int64(whole) + 1))
		whole -= parts[i]
	}
	parts[n-1] = whole
	return parts
}

// TestTotalsAddUp checks A11 on random conversions for every filter, basis, grouping and model: total = attributed + other +
// unattributed + excluded, the rows' credit is exactly the attributed part, and the total does not depend on the filter.
func TestTotalsAddUp(t *testing.T) {
	w := newWorld(t)
	randomConversions(w, rand.New(rand.NewPCG(3, 4)), 400)
	w.insert()
	for _, derived := range []bool{false, true} {
		if derived {
			w.derive()
		}
		unfiltered := map[string]*aftertouchv1.PerformanceResponse{}
		for _, p := range []*aftertouchv1.Parameters{
			{},
			{Creator: "ann"},
			{Campaign: "summer", Creator: "bob"},
			{Basis: "touch"},
			{Basis: "touch", Model: "linear"},
			{Basis: "touch", Creator: "ann", Model: "linear"},
			{By: []string{"day", "link"}, Model: "time_decay", Campaign: "spring"},
			{Limit: 2},
			{Limit: 1, Basis: "touch"},
			{From: "2026-04-10T03:07:11Z", To: "2026-04-20T23:59:59.5Z", Action: "signup"},
			{From: "2026-04-10T03:07:11Z", To: "2026-04-20T23:59:59.5Z", Basis: "touch"},
			{Tz: "Asia/Kolkata", From: "2026-04-10", To: "2026-04-20", By: []string{"day"}},
		} {
			got, err := w.service.Performance(w.as(readKey), p)
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Rows) == 0 {
				t.Errorf("%v: no rows", p)
			}
			checkTotals(t, fmt.Sprint(p), got)
			key := fmt.Sprint(p.From, p.To, p.Tz, p.Basis, p.Action)
			if p.Basis == "touch" { // when credit falls depends on the model
				key += p.Model
			}
			if unfiltered[key] == nil {
				if p.Creator+p.Campaign != "" {
					t.Fatalf("%v: ask without a filter first", p)
				}
				unfiltered[key] = got
			}
			for currency, totals := range unfiltered[key].Totals {
				if diff := cmp.Diff(totals.Total, got.Totals[currency].GetTotal(), protocmp.Transform()); diff != "" {
					t.Errorf("%v: the total of %s depends on the filter: %s", p, currency, diff)
				}
			}
		}
	}
	if n := testutil.CollectAndCount(w.metrics, "aftertouch_query_unbalanced_total"); n != 1 {
		t.Fatalf("%d counters of unbalanced reports", n)
	}
	if err := testutil.GatherAndCompare(w.metrics, strings.NewReader(`
# HELP aftertouch_query_unbalanced_total Reports whose credit was not exactly the attributed conversions.
# TYPE aftertouch_query_unbalanced_total counter
aftertouch_query_unbalanced_total 0
`), "aftertouch_query_unbalanced_total"); err != nil {
		t.Error(err)
	}
}

// decimal reads a decimal of 9 places exactly.
func decimal(t *testing.T, text string) *big.Rat {
	t.Helper()
	whole, places, ok := strings.Cut(text, ".")
	r, valid := new(big.Rat).SetString(text)
	if !ok || len(places) != 9 || whole == "" || !valid {
		t.Fatalf("%q is no decimal of 9 places", text)
	}
	return r
}

func checkTotals(t *testing.T, name string, got *aftertouchv1.PerformanceResponse) {
	t.Helper()
	model := got.Parameters.Model
	if model == "" {
		model = "last_touch"
	}
	rows, values := map[string]*big.Rat{}, map[string]int64{}
	for _, r := range got.Rows {
		for _, c := range r.Credits {
			if c.Model == model {
				if rows[c.Currency] == nil {
					rows[c.Currency] = new(big.Rat)
				}
				rows[c.Currency].Add(rows[c.Currency], decimal(t, c.Conversions))
				values[c.Currency] += c.ValueMinor
			}
		}
	}
	for currency, x := range got.Totals {
		sum, value := new(big.Rat), int64(0)
		add := func(a *aftertouchv1.Amount) {
			sum.Add(sum, decimal(t, a.GetConversions()))
			value += a.GetValueMinor()
			if strings.HasPrefix(a.GetConversions(), "-") {
				t.Errorf("%s: a part of %s is negative: %v", name, currency, x)
			}
		}
		add(x.Attributed)
		add(x.Other)
		for _, a := range x.Unattributed {
			add(a)
		}
		for _, a := range x.Excluded {
			add(a)
		}
		if sum.Cmp(decimal(t, x.Total.Conversions)) != 0 || value != x.Total.ValueMinor {
			t.Errorf("%s: totals of %s do not add up: %v", name, currency, x)
		}
		attributed := rows[currency]
		if attributed == nil {
			attributed = new(big.Rat)
		}
		if attributed.Cmp(decimal(t, x.Attributed.Conversions)) != 0 || values[currency] != x.Attributed.ValueMinor {
			t.Errorf("%s: rows of %s are %s, %d; attributed is %v", name, currency, attributed.FloatString(9), values[currency], x.Attributed)
		}
	}
}

// TestManyExposuresMayBeCountedForAnEarlierAnswer, which the rows then say. Everything else is of the present.
func TestManyExposuresMayBeCountedForAnEarlierAnswer(t *testing.T) {
	w := campaignWorld(t)
	cfg := query.Default()
	cfg.ExactExposures, cfg.PeopleAge = 1, time.Hour
	service, err := query.New(cfg, query.Deps{
		Store: w.store, Registry: w.view, Logger: slog.New(slog.NewTextHandler(t.Output(), nil)), Clock: func() time.Time { return now },
	})
	must(t, err)
	ask := func(creator string) *aftertouchv1.PerformanceRow {
		t.Helper()
		got, err := service.Performance(w.as(readKey), &aftertouchv1.Parameters{Creator: creator})
		must(t, err)
		if len(got.Rows) != 1 {
			t.Fatalf("rows %v", got.Rows)
		}
		return got.Rows[0]
	}
	if row := ask("ann"); !row.Exact || row.Exposed != 1 || row.Viewable != 2 {
		t.Errorf("the first answer is %v", row)
	}
	w.touch(touch{entity: "v:new", kind: "viewable", creator: "ann", at: daysAgo(1)})
	w.insert()
	if row := ask("ann"); row.Exact || row.Exposed != 1 || row.Viewable != 3 {
		t.Errorf("the second answer is %v", row)
	}
	if row := ask("bob"); !row.Exact || row.Exposed != 1 {
		t.Errorf("the answer for another creator is %v", row)
	}
	if row := w.exactPerformance("ann"); !row.Exact || row.Exposed != 2 {
		t.Errorf("the answer of a service that counts up to 500,000 anew is %v", row)
	}
}

func (w *world) exactPerformance(creator string) *aftertouchv1.PerformanceRow {
	w.t.Helper()
	got, err := w.service.Performance(w.as(readKey), &aftertouchv1.Parameters{Creator: creator})
	must(w.t, err)
	return got.Rows[0]
}
