package query_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/attribution"
	"github.com/aftertouch-io/aftertouch/internal/event"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
)

func TestConversionsListsTheNewestFirst(t *testing.T) {
	w := campaignWorld(t)
	got, err := w.service.Conversions(w.as(adminKey), &aftertouchv1.Parameters{Model: "linear"})
	must(t, err)
	var lines []string
	for _, r := range got.Rows {
		line := fmt.Sprintf("%s %s %s %d%s %s%s %d/%d", r.Time, r.Action, r.OrderId, r.ValueMinor, r.Currency, r.Status, r.Reason, r.EligibleTouches, r.Touches)
		for _, c := range r.Credits {
			line += fmt.Sprintf(" %s:%s/%s=%s,%d", c.Model, c.Campaign, c.Creator, c.Credit, c.ValueMinor)
		}
		lines = append(lines, line)
	}
	want := []string{
		"2026-04-25T12:00:00.000Z purchase 2 500EUR unattributedno_touch 0/0",
		"2026-04-25T12:00:00.000Z purchase 3 70USD excludedlate 0/0",
		"2026-04-25T12:00:00.000Z signup 4 0 attributed 1/1 linear:spring/ann=1.000000000,0",
		"2026-04-24T12:00:00.000Z purchase 1 1001EUR attributed 2/2 linear:spring/ann=0.500000000,501 linear:summer/bob=0.500000000,500",
	}
	slices.Sort(lines[:3]) // of one time: in the order of their hashes
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(totalsOf("total 2.000000000 1501, attributed 1.000000000 1001, other 0.000000000 0, unattributed:no_touch 1.000000000 500"), got.Totals["EUR"], protocmp.Transform()); diff != "" {
		t.Errorf("totals (-want +got):\n%s", diff)
	}
	if got, err = w.service.Conversions(w.as(adminKey), &aftertouchv1.Parameters{Limit: 1, Creator: "bob"}); err != nil {
		t.Fatal(err)
	}
	if len(got.Rows) != 1 || got.Rows[0].OrderId != "1" || got.OmittedRows != 0 {
		t.Errorf("bob's conversions are %v and %d more", got.Rows, got.OmittedRows)
	}
	if got, err = w.service.Conversions(w.as(adminKey), &aftertouchv1.Parameters{Limit: 1}); err != nil {
		t.Fatal(err)
	}
	if len(got.Rows) != 1 || got.OmittedRows != 3 {
		t.Errorf("of four conversions one is asked for, %d are shown and %d omitted", len(got.Rows), got.OmittedRows)
	}
}

func TestReceiptExplainsAConversion(t *testing.T) {
	w := newWorld(t)
	j := w.journey(conversion{order: "1001", person: "u:5f1e", at: daysAgo(3), value: 1001, currency: "EUR", credit: []creditOf{
		{creator: "ann", link: "l1", before: 26 * time.Hour, parts: []uint32{whole, 0, whole / 2, whole / 2, 400_000_000}, value: []int64{1001, 0, 501, 501, 400}},
		{creator: "bob", before: time.Hour, parts: []uint32{0, whole, whole / 2, whole / 2, 600_000_000}, value: []int64{0, 1001, 500, 500, 601}},
	}})
	w.effects.Journeys = append(w.effects.Journeys, j)
	w.insert()
	// A late touch that is not eligible makes revision 2.
	w.offset++
	j.Cause, j.Position.Offset = attribution.CauseLateTouch, w.offset
	j.Touches = append([]attribution.JourneyTouch{{Reason: attribution.ReasonOutsideWindow, Touch: &aftertouchv1.Touch{
		Entity: "v:a", EventId: "old", Kind: aftertouchv1.Touch_impression, Time: daysAgo(60).UnixMilli(), CreatorId: "cy", CampaignId: "spring",
		PlacementId: "post", AgreementId: "spring-cy", AgreementVersion: 2,
	}}}, j.Touches...)
	j.Omitted = map[string]uint32{attribution.ReasonOver500: 3}
	w.effects.Journeys = append(w.effects.Journeys, j)
	w.insert()

	for _, request := range []*aftertouchv1.ReceiptRequest{{OrderId: "1001"}, {OrderId: "1001", Action: "purchase"}, {EventId: "event-of-1001"}} {
		got, err := w.service.Receipt(w.as(adminKey), request)
		must(t, err)
		if got.Revision != 2 || got.Cause != "late_touch" || got.PersonKind != "user" || got.Conversion.Status != "attributed" ||
			got.Conversion.Touches != 6 || got.Conversion.EligibleTouches != 2 || got.Omitted["over_500"] != 3 {
			t.Errorf("%v: the receipt is %v", request, got)
		}
		credit := func(first, last, linear, position, decay string) map[string]string {
			return map[string]string{"first_touch": first, "last_touch": last, "linear": linear, "position_based": position, "time_decay": decay}
		}
		value := func(v ...int64) map[string]int64 {
			m := map[string]int64{}
			for i, name := range attribution.ModelNames {
				m[name] = v[i]
			}
			return m
		}
		want := []*aftertouchv1.ReceiptTouch{
			{
				Time: "2026-03-02T12:00:00.000Z", Kind: "impression", Creator: "cy", Campaign: "spring", Agreement: "spring-cy", AgreementVersion: 2,
				Placement: "post", Reason: "outside_window", AgeS: 57 * 86400, EventId: "old",
				Credit: credit("0.000000000", "0.000000000", "0.000000000", "0.000000000", "0.000000000"), ValueMinor: value(0, 0, 0, 0, 0),
			},
			{
				Time: "2026-04-27T10:00:00.000Z", Kind: "click", Creator: "ann", Campaign: "spring", Agreement: "spring-ann", AgreementVersion: 1,
				Link: "l1", Eligible: true, AgeS: 26 * 3600, EventId: "t0",
				Credit: credit("1.000000000", "0.000000000", "0.500000000", "0.500000000", "0.400000000"), ValueMinor: value(1001, 0, 501, 501, 400),
			},
			{
				Time: "2026-04-28T11:00:00.000Z", Kind: "click", Creator: "bob", Campaign: "spring", Agreement: "spring-bob", AgreementVersion: 1,
				Eligible: true, AgeS: 3600, EventId: "t1",
				Credit: credit("0.000000000", "1.000000000", "0.500000000", "0.500000000", "0.600000000"), ValueMinor: value(0, 1001, 500, 500, 601),
			},
		}
		if diff := cmp.Diff(want, got.Touches, protocmp.Transform()); diff != "" {
			t.Errorf("%v: touches (-want +got):\n%s", request, diff)
		}
		if diff := cmp.Diff(totalsOf("total 1.000000000 1001, attributed 1.000000000 1001, other 0.000000000 0"), got.Totals["EUR"], protocmp.Transform()); diff != "" {
			t.Errorf("%v: totals (-want +got):\n%s", request, diff)
		}
	}
}

func TestReceiptNamesTheWaysToTellConversionsApart(t *testing.T) {
	w := newWorld(t)
	w.convert(conversion{order: "7", at: daysAgo(1)})
	w.convert(conversion{order: "7", action: "signup", at: daysAgo(1)})
	w.insert()
	_, err := w.service.Receipt(w.as(adminKey), &aftertouchv1.ReceiptRequest{OrderId: "7"})
	wantError(t, err, "InvalidArgument", "invalid_argument", "action purchase, action signup")
	got, err := w.service.Receipt(w.as(adminKey), &aftertouchv1.ReceiptRequest{OrderId: "7", Action: "signup"})
	must(t, err)
	if got.Conversion.Action != "signup" || got.Revision != 1 {
		t.Errorf("the receipt of the signup is %v", got)
	}
}

func TestHealthCountsWhatWasAcceptedRefusedAndFlagged(t *testing.T) {
	w := newWorld(t)
	w.touch(touch{entity: "v:a", kind: "click", creator: "ann", at: daysAgo(1)})
	w.touch(touch{entity: "v:a", kind: "click", creator: "ann", at: daysAgo(1), flags: []string{event.FlagRobot}})
	w.touch(touch{entity: "v:a", kind: "visit", at: daysAgo(1), flags: []string{event.FlagShare}})
	w.effects.Facts[2].Duplicates = 4
	w.touch(touch{entity: "v:a", kind: "visit", at: daysAgo(40)})
	for run := range 2 {
		w.effects.Refusals = append(w.effects.Refusals, attribution.RefusalRow{
			Workspace: shop, RunID: fmt.Sprint(run), Hour: daysAgo(1).UnixMilli(), Transport: "pixel", Reason: "unknown_link", KeyID: "k", Count: 5,
			Cause: event.Position{Epoch: 1, Partition: 1, Offset: 9},
		})
	}
	w.insert()
	check := func(name string) {
		t.Helper()
		got, err := w.service.Health(w.as(readKey), &aftertouchv1.Parameters{})
		must(t, err)
		var lines []string
		for _, r := range got.Rows {
			lines = append(lines, fmt.Sprintf("%s %s %s %d %d", r.Outcome, r.Kind, r.Reason, r.Gross, r.Net))
		}
		want := []string{
			"accepted visit  5 1", "accepted click  2 1", "duplicate visit  4 0", "refused pixel unknown_link 10 0",
			"flagged visit share 1 1", "flagged click robot 1 0",
		}
		if diff := cmp.Diff(want, lines); diff != "" {
			t.Errorf("%s: rows (-want +got):\n%s", name, diff)
		}
		if len(got.Partitions) != 1 || got.Partitions[0].NextOffset != w.offset+1 || got.Partitions[0].LagRecords != 4 || got.DataVersion.Offsets[1] != w.offset+1 {
			t.Errorf("%s: partitions %v, data version %v", name, got.Partitions, got.DataVersion)
		}
	}
	check("live")
	w.derive()
	check("derived")
}

// TestDaysAreThoseOfTheTimeZone puts touches around midnight on the day that clocks change, and around a midnight that is a
// quarter to the hour.
func TestDaysAreThoseOfTheTimeZone(t *testing.T) {
	w := newWorld(t)
	for _, at := range []string{
		"2026-03-28T22:59:59.999Z", "2026-03-28T23:00:00Z", // midnight in Berlin, in winter
		"2026-03-29T21:59:59.999Z", "2026-03-29T22:00:00Z", // and in summer: the day has 23 hours
		"2026-03-29T18:14:59.999Z", "2026-03-29T18:15:00Z", // midnight in Kathmandu
	} {
		x, err := time.Parse(time.RFC3339Nano, at)
		must(t, err)
		w.touch(touch{entity: "v:a", kind: "click", creator: "ann", campaign: "summer", at: x})
	}
	w.insert()
	for _, derived := range []bool{false, true} {
		if derived {
			w.derive()
		}
		for name, c := range map[string]struct {
			p    *aftertouchv1.Parameters
			want string
		}{
			"the workspace's zone":  {&aftertouchv1.Parameters{From: "2026-03-28", To: "2026-03-31"}, "2026-03-28:1/1 2026-03-29:4/1 2026-03-30:1/1"},
			"the day of 23 hours":   {&aftertouchv1.Parameters{From: "2026-03-29", To: "2026-03-30"}, "2026-03-29:4/1"},
			"the campaign's zone":   {&aftertouchv1.Parameters{From: "2026-03-28", To: "2026-03-31", Campaign: "summer"}, "2026-03-29:3/1 2026-03-30:3/1"},
			"one day of that":       {&aftertouchv1.Parameters{From: "2026-03-30", To: "2026-03-31", Campaign: "summer"}, "2026-03-30:3/1"},
			"a zone that was asked": {&aftertouchv1.Parameters{From: "2026-03-28", To: "2026-03-31", Campaign: "summer", Tz: "UTC"}, "2026-03-28:2/1 2026-03-29:4/1"},
			"a millisecond":         {&aftertouchv1.Parameters{From: "2026-03-28T22:59:59.999Z", To: "2026-03-28T23:00:00Z"}, "2026-03-28:1/1"},
		} {
			c.p.By = []string{"day"}
			got, err := w.service.Performance(w.as(readKey), c.p)
			must(t, err)
			var days []string
			for _, r := range got.Rows {
				days = append(days, fmt.Sprintf("%s:%d/%d", r.Day, r.Clicks, r.Exposed))
			}
			if line := strings.Join(days, " "); line != c.want {
				t.Errorf("derived %v, %s: %s, want %s", derived, name, line, c.want)
			}
		}
	}
}
