package render_test

import (
	"errors"
	"strings"
	"testing"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/services/query/render"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
)

func performance() *aftertouchv1.PerformanceResponse {
	return &aftertouchv1.PerformanceResponse{
		Report: "performance", Parameters: &aftertouchv1.Parameters{From: "2026-04-01", To: "2026-05-01", Tz: "UTC", By: []string{"creator"}, Creator: "ann"},
		DataVersion: &aftertouchv1.DataVersion{Epoch: 1, Offsets: map[int32]int64{0: 7, 1: 9}},
		Rows: []*aftertouchv1.PerformanceRow{{
			Creator: "ann", Impressions: 1200, Exposed: 40, Acted: 3, Exact: true,
			Credits: []*aftertouchv1.ModelCredit{{Model: "last_touch", Currency: "EUR", Conversions: "2.500000000", ValueMinor: 1999}, {Model: "linear", Currency: "EUR", Conversions: "1.000000000", ValueMinor: 5}},
		}},
		Totals: map[string]*aftertouchv1.Totals{"EUR": {
			Total: amount("4.000000000", 3000), Attributed: amount("2.500000000", 1999), Other: amount("0.500000000", 1),
			Unattributed: map[string]*aftertouchv1.Amount{"no_touch": amount("1.000000000", 1000)},
		}},
		OmittedRows: 2,
	}
}

func amount(conversions string, value int64) *aftertouchv1.Amount {
	return &aftertouchv1.Amount{Conversions: conversions, ValueMinor: value}
}

func TestTableFitsATerminalAndAddsUp(t *testing.T) {
	var got strings.Builder
	if err := render.Write(&got, performance(), render.Table); err != nil {
		t.Fatal(err)
	}
	want := `performance, 2026-04-01 to 2026-05-01 (UTC), creator ann
┌─────────┬─────────────┬──────────┬─────────────┬────────┬────────┬─────────┬───────┬───────────────────────┬────────────────────────────┬────────────────────────────┐
│ creator │ impressions │ viewable │ engagements │ visits │ clicks │ exposed │ acted │ time_to_convert_p50_s │ conversions_last_touch_EUR │ value_minor_last_touch_EUR │
├─────────┼─────────────┼──────────┼─────────────┼────────┼────────┼─────────┼───────┼───────────────────────┼────────────────────────────┼────────────────────────────┤
│ ann     │        1200 │        0 │           0 │      0 │      0 │      40 │     3 │                     0 │                2.500000000 │                       1999 │
└─────────┴─────────────┴──────────┴─────────────┴────────┴────────┴─────────┴───────┴───────────────────────┴────────────────────────────┴────────────────────────────┘

totals: total = attributed + other + unattributed + excluded
┌──────────┬──────────────┬──────────┬─────────────┬─────────────┐
│ currency │ part         │ reason   │ conversions │ value_minor │
├──────────┼──────────────┼──────────┼─────────────┼─────────────┤
│ EUR      │ total        │          │ 4.000000000 │        3000 │
│ EUR      │ attributed   │          │ 2.500000000 │        1999 │
│ EUR      │ other        │          │ 0.500000000 │           1 │
│ EUR      │ unattributed │ no_touch │ 1.000000000 │        1000 │
└──────────┴──────────────┴──────────┴─────────────┴─────────────┘
2 more rows are beyond the limit
data version: epoch 1, offsets 0:7 1:9
`
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestIDsOfStrangersCannotHarm: ids of orders come from anybody.
func TestIDsOfStrangersCannotHarm(t *testing.T) {
	answer := &aftertouchv1.ConversionsResponse{Rows: []*aftertouchv1.ConversionRow{{OrderId: "=1+1\x1b[2J", ValueMinor: -5, Credits: nil}}}
	var csv, table strings.Builder
	if err := errors.Join(render.Write(&csv, answer, render.CSV), render.Write(&table, answer, render.Table)); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(csv.String(), ",'=1+1") || !strings.Contains(csv.String(), ",-5,") {
		t.Errorf("a formula, or no number: %q", csv.String())
	}
	if strings.Contains(table.String(), "\x1b") {
		t.Errorf("a control character: %q", table.String())
	}
}

func TestEveryReportHasEveryFormat(t *testing.T) {
	for _, answer := range []proto.Message{
		&aftertouchv1.PerformanceResponse{Rows: []*aftertouchv1.PerformanceRow{{}}}, &aftertouchv1.ExposureResponse{Rows: []*aftertouchv1.ExposureRow{{}}},
		&aftertouchv1.ConversionsResponse{Rows: []*aftertouchv1.ConversionRow{{}}}, &aftertouchv1.ReceiptResponse{Touches: []*aftertouchv1.ReceiptTouch{{}}},
		&aftertouchv1.HealthResponse{Rows: []*aftertouchv1.HealthRow{{}}, Partitions: []*aftertouchv1.PartitionHealth{{}}},
	} {
		for _, format := range []string{render.Table, render.CSV, render.JSON} {
			var b strings.Builder
			if err := render.Write(&b, answer, format); err != nil || !strings.HasSuffix(b.String(), "\n") {
				t.Errorf("%T as %s: %v, %q", answer, format, err, b.String())
			}
		}
		if err := render.Write(&strings.Builder{}, answer, "xml"); err == nil {
			t.Errorf("%T as xml: no error", answer)
		}
	}
	if err := render.Write(&strings.Builder{}, &aftertouchv1.Event{}, render.CSV); err == nil {
		t.Error("an event is no report: no error")
	}
}
