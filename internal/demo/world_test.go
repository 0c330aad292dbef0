package demo

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var now = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func TestWorldIsAFunctionOfItsSeed(t *testing.T) {
	one, two := NewWorld(DefaultPlan(7, 500, now)), NewWorld(DefaultPlan(7, 500, now))
	if diff := cmp.Diff(one, two); diff != "" {
		t.Errorf("two worlds of one seed differ:\n%s", diff)
	}
	if cmp.Equal(one, NewWorld(DefaultPlan(8, 500, now))) {
		t.Error("another seed makes the same world")
	}
}

func TestNothingHappensInTheFutureOrBeforeItsCause(t *testing.T) {
	plan := DefaultPlan(1, 5000, now)
	for _, p := range NewWorld(plan) {
		for _, e := range p.Exposures {
			last := e.Impressions[len(e.Impressions)-1]
			if last.After(now) || e.ClickTime.After(now) || (e.Click == PastClick && e.ClickTime.Before(last)) {
				t.Fatalf("exposure %+v is out of order", e)
			}
		}
		b := p.Purchase
		if b == nil || b.Cause < 0 || b.Time.IsZero() {
			continue
		}
		for _, e := range p.Exposures {
			if e.Creator == b.Cause && b.Time.Before(e.first()) {
				t.Fatalf("purchase %+v precedes its cause %+v", b, e)
			}
		}
	}
}

func TestTruthAddsUp(t *testing.T) {
	plan := DefaultPlan(3, 5000, now)
	truth := Summarise(plan, NewWorld(plan))
	caused := truth.Organic
	for i, c := range truth.ByCreator {
		caused += c.Caused
		if c.Acted > c.Exposed || c.Clicked > c.Exposed || c.Exposed == 0 {
			t.Errorf("%s: %+v", plan.Creators[i].ID, c)
		}
	}
	if caused != truth.Orders {
		t.Errorf("caused and organic are %d, orders %d", caused, truth.Orders)
	}
	if ben := truth.ByCreator[1]; ben.Caused != 0 || ben.Acted == 0 {
		t.Errorf("ben reaches buyers and causes nothing, but is %+v", ben)
	}
}
