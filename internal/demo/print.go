package demo

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/jedib0t/go-pretty/v6/table"
)

func (c *client) print(ctx context.Context, out io.Writer, plan Plan, people []Person, truth Summary, f *figures) error {
	printPerformance(out, plan, truth, f)
	printExposure(out, plan, truth, f)
	return c.printReceipt(ctx, out, plan, people)
}

func printPerformance(out io.Writer, plan Plan, truth Summary, f *figures) {
	t := newTable(out, "performance: purchases credited by each model, beside what the generator knows")
	header := table.Row{"creator", "impressions", "viewable", "clicks"}
	models := []string{"first_touch", "last_touch", "linear", "position_based", "time_decay"}
	for _, m := range models {
		header = append(header, m)
	}
	t.AppendHeader(append(header, "TRUTH: caused"))
	for i, creator := range plan.Creators {
		row := f.performanceOf(creator.ID)
		line := table.Row{creator.ID, row.GetImpressions(), row.GetViewable(), row.GetClicks()}
		for _, m := range models {
			line = append(line, credit(row, m))
		}
		t.AppendRow(append(line, truth.ByCreator[i].Caused))
	}
	t.Render()
	totals := f.performance.Totals["EUR"]
	fmt.Fprintf(out, "total %s = attributed %s + other %s%s%s   (TRUTH: %d orders, %d of them organic)\n\n",
		totals.GetTotal().GetConversions(), totals.GetAttributed().GetConversions(), totals.GetOther().GetConversions(),
		reasons("unattributed", totals.GetUnattributed()), reasons("excluded", totals.GetExcluded()), truth.Orders, truth.Organic)
}

func reasons(word string, amounts map[string]*aftertouchv1.Amount) string {
	var b strings.Builder
	for _, reason := range slices.Sorted(maps.Keys(amounts)) {
		fmt.Fprintf(&b, " + %s{%s} %s", word, reason, amounts[reason].GetConversions())
	}
	return b.String()
}

func printExposure(out io.Writer, plan Plan, truth Summary, f *figures) {
	t := newTable(out, "exposure: what people did after they were reached, whoever gets the credit")
	t.AppendHeader(table.Row{
		"creator", "exposed", "TRUTH", "clicked", "TRUTH", "acted", "TRUTH", "after", "before", "none", "window open", "acted rate (95 %)", "TRUTH: caused",
	})
	for i, creator := range plan.Creators {
		row, is := f.exposureOf(creator.ID), truth.ByCreator[i]
		rate := row.GetActedRate()
		t.AppendRow(table.Row{
			creator.ID, row.GetExposed(), is.Exposed, row.GetClicked(), is.Clicked, row.GetActed(), is.Acted,
			row.GetAfter(), row.GetBefore(), row.GetNone(), row.GetWindowOpen(),
			fmt.Sprintf("%.1f %% (%.1f-%.1f)", 100*rate.GetValue(), 100*rate.GetLow(), 100*rate.GetHigh()), is.Caused,
		})
	}
	t.Render()
	fmt.Fprint(out, "Acting after exposure is no proof of effect: ben reaches most people and causes nothing.\n\n")
}

// printReceipt explains one order that somebody was credited for.
func (c *client) printReceipt(ctx context.Context, out io.Writer, plan Plan, people []Person) error {
	i := slices.IndexFunc(people, telling)
	if i < 0 {
		return nil
	}
	b := people[i].Purchase
	var r aftertouchv1.ReceiptResponse
	if err := c.report(ctx, "receipt", url.Values{"order_id": {b.OrderID}, "action": {"purchase"}}, &r); err != nil {
		return err
	}
	t := newTable(out, fmt.Sprintf("receipt of order %s (TRUTH: caused by %s)", b.OrderID, plan.Creators[b.Cause].ID))
	t.AppendHeader(table.Row{"time", "touch", "creator", "eligible", "why not", "first_touch", "last_touch", "linear", "time_decay"})
	for _, touch := range r.Touches {
		t.AppendRow(table.Row{
			touch.Time, touch.Kind, touch.Creator, touch.Eligible, touch.Reason,
			touch.Credit["first_touch"], touch.Credit["last_touch"], touch.Credit["linear"], touch.Credit["time_decay"],
		})
	}
	t.Render()
	order := r.GetConversion()
	fmt.Fprintf(out, "%s of %d.%02d %s by a %s, reported %d times and counted once; revision %d (%s)\n\n", order.GetAction(),
		order.GetValueMinor()/100, order.GetValueMinor()%100, order.GetCurrency(), r.PersonKind, order.GetRecords(), r.Revision, r.Cause)
	return nil
}

// telling picks a purchase with more than one creator, a click, and two reports of one order.
func telling(p Person) bool {
	clicked := slices.ContainsFunc(p.Exposures, func(e Exposure) bool { return e.Click != NoClick })
	return p.Purchase != nil && p.Purchase.Cause >= 0 && p.Purchase.Twice && len(p.Exposures) > 1 && clicked
}

func newTable(out io.Writer, title string) table.Writer {
	t := table.NewWriter()
	t.SetOutputMirror(out)
	t.SetStyle(table.StyleLight)
	t.Style().Format.Header = 0
	fmt.Fprintln(out, title)
	return t
}
