package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/aftertouch-io/aftertouch/internal/attribution"
	"github.com/aftertouch-io/aftertouch/internal/store/storetest"
)

func TestViewsReadEachRowOnce(t *testing.T) {
	s := storetest.Open(t)
	for range 2 { // in two parts
		storetest.Insert(t, s, storetest.Batch())
	}
	for view, want := range map[string]string{
		"v_conversions": "3", "v_touches": "4", "v_exposure": "3", "v_identities": "2",
		"v_journeys": "4",  // three eligible touches and one not in force
		"v_credits":  "10", // two creators under five models
	} {
		if got := texts(t, s, "SELECT toString(count()) FROM "+view); got[0] != want {
			t.Errorf("%s has %s rows, want %s", view, got[0], want)
		}
	}
}

func TestCreditsAddUp(t *testing.T) {
	s := storetest.Open(t)
	b := storetest.Batch()
	b.Effects = &attribution.Effects{Journeys: []attribution.Journey{
		storetest.Journey("1", time.Hour, 1, "ann", "bob", "cy"), storetest.Journey("2", time.Hour, 2, "ann", "ann"),
		storetest.Journey("3", time.Hour, 3),
	}}
	storetest.Insert(t, s, b)
	got := texts(t, s, `SELECT concat(order_id, ' ', model, ' ', toString(sum(credit)), ' ', toString(sum(value_minor))) AS line
FROM v_credits GROUP BY order_id, model ORDER BY order_id, model`)
	var want []string
	for _, order := range []string{"1", "2"} {
		for _, model := range []string{"first_touch", "last_touch", "linear", "position_based", "time_decay"} {
			want = append(want, order+" "+model+" 1 4200")
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("credits (-want +got):\n%s", diff)
	}
	got = texts(t, s, `SELECT concat(creator_id, ' ', toString(credit), ' ', toString(touches)) AS line FROM v_credits WHERE model = 'linear' ORDER BY order_id, creator_id`)
	if diff := cmp.Diff([]string{"ann 0.333333334 1", "bob 0.333333333 1", "cy 0.333333333 1", "ann 1 2"}, got); diff != "" {
		t.Errorf("linear credits (-want +got):\n%s", diff)
	}
}

func TestAConversionsOtherModelsDoNotLeakIntoItsCredit(t *testing.T) {
	s := storetest.Open(t)
	j := storetest.Journey("1", time.Hour, 1, "ann", "bob")
	for i := range j.Touches { // last_touch gives bob everything
		j.Touches[i].Credit[attribution.LastTouch] = uint32(i) * attribution.CreditUnit
		j.Touches[i].ValueMinor[attribution.LastTouch] = int64(i) * 4200
	}
	b := storetest.Batch()
	b.Effects = &attribution.Effects{Journeys: []attribution.Journey{j}}
	storetest.Insert(t, s, b)
	got := texts(t, s, `SELECT concat(model, ' ', creator_id, ' ', toString(value_minor)) AS line FROM v_credits WHERE model IN ('last_touch', 'linear') ORDER BY line`)
	if diff := cmp.Diff([]string{"last_touch bob 4200", "linear ann 2100", "linear bob 2100"}, got); diff != "" {
		t.Errorf("credits (-want +got):\n%s", diff)
	}
}
