package query_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/attribution"
	"github.com/aftertouch-io/aftertouch/internal/event"
	"github.com/google/go-cmp/cmp"
)

// exposureLine is what a row of the report says, for comparing.
func exposureLine(r *aftertouchv1.ExposureRow) string {
	return fmt.Sprintf("%s/%s %s exposed %d clicked %d acted %d after %d before %d none %d open %d unexposed %d",
		r.Campaign, r.Creator, r.Action, r.Exposed, r.Clicked, r.Acted, r.After, r.Before, r.None, r.WindowOpen, r.UnexposedActed)
}

func exposureLines(t *testing.T, w *world, p *aftertouchv1.Parameters) []string {
	t.Helper()
	got, err := w.service.Exposure(w.as(readKey), p)
	if err != nil {
		t.Fatalf("%v: %v", p, err)
	}
	var lines []string
	for _, r := range got.Rows {
		lines = append(lines, exposureLine(r))
		if !r.Exact || !strings.HasPrefix(r.Label, "observational") || r.ActedRate.N != r.Exposed {
			t.Errorf("row %v is not exact, labelled and with its n", r)
		}
	}
	slices.Sort(lines)
	return lines
}

// TestExposureSaysWhatWasWorkedOutByHand has one person in each group, and every way in which somebody is no person or
// another one.
func TestExposureSaysWhatWasWorkedOutByHand(t *testing.T) {
	w := newWorld(t)
	see := func(entity, kind string, days float64, flags ...string) {
		w.touch(touch{entity: entity, kind: kind, creator: "ann", at: daysAgo(days), flags: flags})
	}
	buy := func(order, person string, days float64) {
		w.convert(conversion{order: order, person: person, at: daysAgo(days)})
	}
	// acted: on the last instant of the window of 5 days, and through a link after the act.
	see("v:acted", "viewable", 20)
	buy("1", "v:acted", 15)
	see("v:phone", "visit", 12)
	see("v:laptop", "viewable", 11)
	w.link("v:phone", "u:hers")
	w.link("v:laptop", "u:hers")
	buy("2", "v:laptop", 10)
	// after: a millisecond later than the window.
	see("v:after", "engagement", 20)
	w.convert(conversion{order: "3", person: "v:after", at: daysAgo(15).Add(time.Millisecond)})
	// before: only earlier.
	see("v:before", "viewable", 20)
	buy("4", "v:before", 21)
	// none: excluded conversions are none; cut ones would count.
	see("v:none", "viewable", 3) // its window is open
	w.convert(conversion{order: "5", person: "v:none", at: daysAgo(2), status: attribution.Excluded, reason: attribution.ReasonNoConsent})
	// A click is its visitor's; that visitor's window is open, too. The redirect's click of nobody is no person.
	see("v:~c/1", "click", 4)
	w.link("v:~c/1", "v:clicker")
	see("v:~c/2", "click", 4)
	see("v:~e/3", "viewable", 4)
	// A visitor who leads to another one, who leads to a user: three are one. Two visitors who lead to each other are one.
	see("v:one", "viewable", 18)
	see("v:two", "viewable", 17)
	w.link("v:one", "v:two")
	w.link("v:two", "u:his")
	see("v:ping", "viewable", 18)
	see("v:pong", "click", 17)
	w.link("v:ping", "v:pong")
	w.link("v:pong", "v:ping")
	// Neither invalid, nor not viewable, nor unmeasured impressions expose, nor visits of nobody's links.
	see("v:x", "viewable", 9, event.FlagRobot)
	see("v:x", "hidden", 9)
	see("v:x", "unmeasured", 9)
	w.touch(touch{entity: "v:counted", kind: "unmeasured", creator: "ann", at: daysAgo(9), counted: true})
	w.touch(touch{entity: "v:x", kind: "visit", at: daysAgo(9)})
	// Not in force is no credit, but an exposure.
	see("v:early", "viewable", 9, event.FlagNotInForce)
	// Exposed before the period only: in no group, and not unexposed.
	see("v:old", "viewable", 50)
	buy("6", "v:old", 10)
	// Unexposed, and one of them before the period; "u:hers" is not.
	buy("7", "v:stranger", 10)
	buy("8", "v:x", 10)
	buy("9", "v:past", 40)
	w.convert(conversion{order: "10", at: daysAgo(3)}) // of nobody
	w.insert()

	// exposed: acted, u:hers, after, before, none, clicker, u:his, ping+pong, counted, early = 10
	want := []string{"/ann purchase exposed 10 clicked 2 acted 2 after 1 before 1 none 6 open 2 unexposed 2"}
	p := &aftertouchv1.Parameters{Creator: "ann", Within: "5d"}
	if diff := cmp.Diff(want, exposureLines(t, w, p)); diff != "" {
		t.Errorf("live (-want +got):\n%s", diff)
	}
	w.derive()
	if diff := cmp.Diff(want, exposureLines(t, w, p)); diff != "" {
		t.Errorf("derived (-want +got):\n%s", diff)
	}
	// A creator who exposed nobody is an answer, too: seven people acted in the period.
	if diff := cmp.Diff([]string{"/bob purchase exposed 0 clicked 0 acted 0 after 0 before 0 none 0 open 0 unexposed 7"},
		exposureLines(t, w, &aftertouchv1.Parameters{Creator: "bob"})); diff != "" {
		t.Errorf("bob (-want +got):\n%s", diff)
	}
}

// oracle counts what the report exposure says, naively, from the events themselves.
type oracle struct {
	touches     []touch
	links       [][2]string
	conversions []conversion
}

// persons returns whose an entity's events are: the ends of its links; people who lead to each other are one, named by the
// first; nobody for a pseudo-visitor without a link.
func (o *oracle) persons(entity string) []string {
	reach := o.reach(entity)
	var ends []string
	for _, e := range reach {
		onward := o.reach(e)
		// e is an end when everything it leads to leads back to it.
		end := true
		for _, x := range onward {
			end = end && slices.Contains(o.reach(x), e)
		}
		if !end || strings.HasPrefix(e, "v:~") {
			continue
		}
		if first := slices.Min(onward); !slices.Contains(ends, first) {
			ends = append(ends, first)
		}
	}
	return ends
}

// reach lists the entity and everything that its links lead to.
func (o *oracle) reach(entity string) []string {
	list := []string{entity}
	for i := 0; i < len(list); i++ {
		for _, l := range o.links {
			if l[0] == list[i] && !slices.Contains(list, l[1]) {
				list = append(list, l[1])
			}
		}
	}
	return list
}

func (x touch) exposes() bool {
	return x.creator != "" && !slices.Contains(x.flags, event.FlagRobot) && (x.kind != "hidden" && x.kind != "unmeasured" || x.kind == "unmeasured" && x.counted)
}

// lines works out the rows of the report for one creator.
func (o *oracle) lines(creator string, actions []string, from, to time.Time, within time.Duration) (lines []string) {
	first, clicked, known := map[string]time.Time{}, map[string]bool{}, map[string]bool{}
	for _, x := range o.touches {
		if x.creator != creator || !x.exposes() || !x.at.Before(to) {
			continue
		}
		for _, p := range o.persons(x.entity) {
			known[p] = true
			if x.at.Before(from) {
				continue
			}
			if t0, ok := first[p]; !ok || x.at.Before(t0) {
				first[p] = x.at
			}
			clicked[p] = clicked[p] || x.kind == "click"
		}
	}
	for _, action := range actions {
		r := &aftertouchv1.ExposureRow{Creator: creator, Action: action}
		unexposed := map[string]bool{}
		for person, t0 := range first {
			r.Exposed++
			if clicked[person] {
				r.Clicked++
			}
			if t0.Add(within).After(now) {
				r.WindowOpen++
			}
			var acted, after, before bool
			for _, c := range o.conversions {
				if c.action != action || c.status == attribution.Excluded || c.person == "" || !slices.Contains(o.persons(c.person), person) {
					continue
				}
				switch {
				case c.at.Before(t0):
					before = true
				case c.at.After(t0.Add(within)):
					after = true
				default:
					acted = true
				}
			}
			switch {
			case acted:
				r.Acted++
			case after:
				r.After++
			case before:
				r.Before++
			default:
				r.None++
			}
		}
		for _, c := range o.conversions {
			if c.action == action && c.status != attribution.Excluded && c.person != "" && !c.at.Before(from) && c.at.Before(to) {
				for _, p := range o.persons(c.person) {
					unexposed[p] = unexposed[p] || !known[p]
				}
			}
		}
		for _, yes := range unexposed {
			if yes {
				r.UnexposedActed++
			}
		}
		if r.Exposed > 0 || len(known) > 0 || r.UnexposedActed > 0 {
			lines = append(lines, exposureLine(r))
		}
	}
	slices.Sort(lines)
	return lines
}

// TestExposureEqualsANaiveCount compares the report with the oracle over random people: links in chains, circles and to
// several users, pseudo-visitors, periods that begin within a day or an hour, live and derived.
func TestExposureEqualsANaiveCount(t *testing.T) {
	w := newWorld(t)
	rnd := rand.New(rand.NewPCG(5, 6))
	var o oracle
	actions := []string{"purchase", "signup"}
	kinds := []string{"click", "visit", "engagement", "viewable", "viewable", "unmeasured", "hidden"}
	entity := func() string {
		if n := rnd.IntN(45); n < 30 {
			return fmt.Sprintf("v:%d", n)
		} else if n < 40 {
			return fmt.Sprintf("v:~c/%d", n)
		}
		return fmt.Sprintf("v:~e/%d", rnd.IntN(1000))
	}
	for range 150 {
		x := touch{entity: entity(), kind: kinds[rnd.IntN(len(kinds))], creator: []string{"ann", "bob", ""}[rnd.IntN(3)], at: daysAgo(rnd.Float64() * 60), counted: rnd.IntN(3) == 0}
		if rnd.IntN(10) == 0 {
			x.flags = []string{event.FlagRobot}
		}
		o.touches = append(o.touches, x)
	}
	for range 25 {
		from, to := fmt.Sprintf("v:%d", rnd.IntN(30)), fmt.Sprintf("u:%d", rnd.IntN(8))
		switch rnd.IntN(4) {
		case 0:
			from = fmt.Sprintf("v:~c/%d", 30+rnd.IntN(10))
			to = fmt.Sprintf("v:%d", rnd.IntN(30))
		case 1, 2:
			to = fmt.Sprintf("v:%d", rnd.IntN(30))
		}
		if from != to {
			o.links = append(o.links, [2]string{from, to})
		}
	}
	for i := range 60 {
		c := conversion{order: fmt.Sprint(i), action: actions[rnd.IntN(2)], at: daysAgo(rnd.Float64() * 60), person: fmt.Sprintf("v:%d", rnd.IntN(35))}
		switch rnd.IntN(6) {
		case 0:
			c.person = fmt.Sprintf("u:%d", rnd.IntN(8))
		case 1:
			c.status, c.reason = attribution.Excluded, attribution.ReasonLate
		case 2:
			c.person, c.status, c.reason = "", attribution.Unattributed, attribution.ReasonNoPerson
		}
		o.conversions = append(o.conversions, c)
	}
	for _, x := range o.touches {
		w.touch(x)
	}
	for _, l := range o.links {
		w.link(l[0], l[1])
	}
	for _, c := range o.conversions {
		w.convert(c)
	}
	w.insert()
	for _, derived := range []bool{false, true} {
		if derived {
			w.derive()
		}
		for _, p := range []struct {
			from, to time.Time
			within   time.Duration
		}{
			{daysAgo(30), daysAgo(0), 30 * 24 * time.Hour},
			{daysAgo(41.37), daysAgo(12.913), 5 * 24 * time.Hour},
			{daysAgo(61), daysAgo(20), 12 * time.Hour},
		} {
			// All creators in one statement, which joins the other way round.
			all := exposureLines(t, w, &aftertouchv1.Parameters{
				From: p.from.Format(time.RFC3339Nano), To: p.to.Format(time.RFC3339Nano), Within: p.within.String(),
			})
			var wantAll []string
			for _, creator := range []string{"ann", "bob"} {
				wantAll = append(wantAll, o.lines(creator, actions, p.from, p.to, p.within)...)
			}
			slices.Sort(wantAll)
			if diff := cmp.Diff(wantAll, all); diff != "" {
				t.Errorf("derived %v, all creators, %v (-oracle +report):\n%s", derived, p, diff)
			}
			for _, creator := range []string{"ann", "bob"} {
				got := exposureLines(t, w, &aftertouchv1.Parameters{
					Creator: creator, From: p.from.Format(time.RFC3339Nano), To: p.to.Format(time.RFC3339Nano), Within: p.within.String(),
				})
				if diff := cmp.Diff(o.lines(creator, actions, p.from, p.to, p.within), got); diff != "" {
					t.Errorf("derived %v, %s, %v (-oracle +report):\n%s", derived, creator, p, diff)
				}
			}
		}
	}
}

// TestPerformanceAndExposureAgree: who is exposed and acted does not depend on the report.
func TestPerformanceAndExposureAgree(t *testing.T) {
	w := campaignWorld(t)
	got, err := w.service.Performance(w.as(readKey), &aftertouchv1.Parameters{By: []string{"creator"}, Action: "purchase", Creator: "ann"})
	must(t, err)
	rows, err := w.service.Exposure(w.as(readKey), &aftertouchv1.Parameters{Creator: "ann", Action: "purchase"})
	must(t, err)
	if len(got.Rows) != 1 || len(rows.Rows) != 1 || got.Rows[0].Exposed != rows.Rows[0].Exposed || got.Rows[0].Acted != rows.Rows[0].Acted || got.Rows[0].Exposed == 0 {
		t.Errorf("performance says %v, exposure %v", got.Rows, rows.Rows)
	}
}
