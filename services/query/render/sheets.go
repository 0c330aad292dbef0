package render

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
)

func number(n int64) string { return strconv.FormatInt(n, 10) }

func title(report string, p *aftertouchv1.Parameters) string {
	parts := []string{report, fmt.Sprintf("%s to %s (%s)", p.GetFrom(), p.GetTo(), p.GetTz())}
	for _, x := range [][2]string{{"action", p.GetAction()}, {"campaign", p.GetCampaign()}, {"creator", p.GetCreator()}, {"model", p.GetModel()}} {
		if x[1] != "" {
			parts = append(parts, x[0]+" "+x[1])
		}
	}
	if p.GetBasis() == "touch" {
		parts = append(parts, "on touch basis")
	}
	return strings.Join(parts, ", ")
}

// versionNote says which data the figures are of.
func versionNote(v *aftertouchv1.DataVersion) string {
	var parts []string
	for _, partition := range slices.Sorted(maps.Keys(v.GetOffsets())) {
		parts = append(parts, fmt.Sprintf("%d:%d", partition, v.GetOffsets()[partition]))
	}
	return fmt.Sprintf("data version: epoch %d, offsets %s", v.GetEpoch(), strings.Join(parts, " "))
}

func omittedNote(n int64) []string {
	if n == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%d more rows are beyond the limit", n)}
}

// creditKey names a pair of columns of performance.
type creditKey struct{ model, currency string }

func performanceSheet(m *aftertouchv1.PerformanceResponse) *sheet {
	by := m.GetParameters().GetBy()
	s := &sheet{title: title("performance", m.GetParameters()), totals: m.GetTotals()}
	for _, d := range []string{"campaign", "creator", "placement", "link", "day"} {
		s.columns = append(s.columns, column{name: d, detail: !slices.Contains(by, d)})
	}
	for _, c := range []column{
		{name: "impressions"},
		{name: "viewable"},
		{name: "engagements"},
		{name: "visits"},
		{name: "clicks"},
		{name: "exposed"},
		{name: "acted"},
		{name: "invalid", detail: true},
		{name: "time_to_convert_p50_s"},
	} {
		c.number = true
		s.columns = append(s.columns, c)
	}
	s.columns = append(s.columns, column{name: "exact", detail: true})
	tableModel := cmp.Or(m.GetParameters().GetModel(), "last_touch")
	keys := creditKeys(m.GetRows())
	for _, k := range keys {
		suffix := k.model
		if k.currency != "" {
			suffix += "_" + k.currency
		}
		s.columns = append(s.columns,
			column{name: "conversions_" + suffix, number: true, detail: k.model != tableModel},
			column{name: "value_minor_" + suffix, number: true, detail: k.model != tableModel || k.currency == ""})
	}
	for _, r := range m.GetRows() {
		row := []string{
			r.GetCampaign(), r.GetCreator(), r.GetPlacement(), r.GetLink(), r.GetDay(), number(r.GetImpressions()), number(r.GetViewable()),
			number(r.GetEngagements()), number(r.GetVisits()), number(r.GetClicks()), number(r.GetExposed()), number(r.GetActed()),
			number(r.GetInvalid()), number(r.GetTimeToConvertP50S()), strconv.FormatBool(r.GetExact()),
		}
		credits := map[creditKey]*aftertouchv1.ModelCredit{}
		for _, c := range r.GetCredits() {
			credits[creditKey{c.GetModel(), c.GetCurrency()}] = c
		}
		for _, k := range keys {
			c := credits[k]
			row = append(row, cmp.Or(c.GetConversions(), "0.000000000"), number(c.GetValueMinor()))
		}
		s.rows = append(s.rows, row)
	}
	s.notes = append(omittedNote(m.GetOmittedRows()), versionNote(m.GetDataVersion()))
	if rows := m.GetRows(); len(rows) > 0 && !rows[0].GetExact() {
		s.notes = append(s.notes, "exposed and acted were counted for an earlier answer")
	}
	return s
}

// creditKeys lists every model and currency of the rows, in the order of the models.
func creditKeys(rows []*aftertouchv1.PerformanceRow) []creditKey {
	place := map[string]int{}
	seen := map[creditKey]bool{}
	var keys []creditKey
	for _, r := range rows {
		for _, c := range r.GetCredits() {
			if _, ok := place[c.GetModel()]; !ok {
				place[c.GetModel()] = len(place)
			}
			if k := (creditKey{c.GetModel(), c.GetCurrency()}); !seen[k] {
				seen[k] = true
				keys = append(keys, k)
			}
		}
	}
	slices.SortFunc(keys, func(a, b creditKey) int {
		return cmp.Or(cmp.Compare(place[a.model], place[b.model]), strings.Compare(a.currency, b.currency))
	})
	return keys
}

func exposureSheet(m *aftertouchv1.ExposureResponse) *sheet {
	s := &sheet{title: title("exposure", m.GetParameters()) + ", within " + m.GetParameters().GetWithin(), totals: m.GetTotals()}
	by := m.GetParameters().GetBy()
	s.columns = []column{
		{name: "campaign", detail: !slices.Contains(by, "campaign")},
		{name: "creator", detail: !slices.Contains(by, "creator")},
		{name: "action"},
		{name: "exposed", number: true},
		{name: "clicked", number: true},
		{name: "acted", number: true},
		{name: "after", number: true},
		{name: "before", number: true},
		{name: "none", number: true},
		{name: "window_open", number: true},
		{name: "unexposed_acted", number: true},
		{name: "acted_rate", number: true},
		{name: "acted_rate_low", number: true},
		{name: "acted_rate_high", number: true},
		{name: "exact", detail: true},
		{name: "label", detail: true},
	}
	for _, r := range m.GetRows() {
		rate := func(v float64) string { return strconv.FormatFloat(v, 'f', 6, 64) }
		s.rows = append(s.rows, []string{
			r.GetCampaign(), r.GetCreator(), r.GetAction(), number(r.GetExposed()), number(r.GetClicked()), number(r.GetActed()), number(r.GetAfter()),
			number(r.GetBefore()), number(r.GetNone()), number(r.GetWindowOpen()), number(r.GetUnexposedActed()),
			rate(r.GetActedRate().GetValue()), rate(r.GetActedRate().GetLow()), rate(r.GetActedRate().GetHigh()),
			strconv.FormatBool(r.GetExact()), r.GetLabel(),
		})
	}
	s.notes = append(omittedNote(m.GetOmittedRows()), versionNote(m.GetDataVersion()))
	if len(m.GetRows()) > 0 {
		s.notes = append(s.notes, m.GetRows()[0].GetLabel())
	}
	return s
}

func conversionsSheet(m *aftertouchv1.ConversionsResponse) *sheet {
	s := &sheet{title: title("conversions", m.GetParameters()), totals: m.GetTotals()}
	s.columns = []column{
		{name: "time"},
		{name: "action"},
		{name: "order_id"},
		{name: "order_scope", detail: true},
		{name: "event_id", detail: true},
		{name: "value_minor", number: true},
		{name: "currency"},
		{name: "status"},
		{name: "reason"},
		{name: "touches", number: true},
		{name: "eligible_touches", number: true},
		{name: "records", number: true, detail: true},
		{name: "flags"},
		{name: "credits"},
	}
	model := cmp.Or(m.GetParameters().GetModel(), "last_touch")
	for _, r := range m.GetRows() {
		var credits []string
		for _, c := range r.GetCredits() {
			if c.GetModel() == model {
				credits = append(credits, c.GetCreator()+" "+c.GetCredit())
			}
		}
		s.rows = append(s.rows, []string{
			r.GetTime(), r.GetAction(), r.GetOrderId(), r.GetOrderScope(), r.GetEventId(), number(r.GetValueMinor()), r.GetCurrency(), r.GetStatus(),
			r.GetReason(), number(int64(r.GetTouches())), number(int64(r.GetEligibleTouches())), number(int64(r.GetRecords())),
			strings.Join(r.GetFlags(), " "), strings.Join(credits, ", "),
		})
	}
	s.notes = append(omittedNote(m.GetOmittedRows()), "credits are those of "+model, versionNote(m.GetDataVersion()))
	return s
}

func receiptSheet(m *aftertouchv1.ReceiptResponse) *sheet {
	c := m.GetConversion()
	s := &sheet{
		title: fmt.Sprintf("receipt of %s %s, %s, %d %s: %s", c.GetAction(), cmp.Or(c.GetOrderId(), c.GetEventId()), c.GetTime(), c.GetValueMinor(),
			c.GetCurrency(), strings.TrimSpace(c.GetStatus()+" "+c.GetReason())),
		totals: m.GetTotals(),
	}
	s.columns = []column{
		{name: "time"},
		{name: "kind"},
		{name: "creator"},
		{name: "campaign"},
		{name: "agreement", detail: true},
		{name: "agreement_version", number: true, detail: true},
		{name: "link"},
		{name: "placement"},
		{name: "event_id", detail: true},
		{name: "eligible"},
		{name: "reason"},
		{name: "age_s", number: true},
	}
	models := []string{"first_touch", "last_touch", "linear", "position_based", "time_decay"}
	for _, model := range models {
		s.columns = append(s.columns, column{name: model, number: true})
	}
	for _, model := range models {
		s.columns = append(s.columns, column{name: "value_minor_" + model, number: true, detail: true})
	}
	for _, t := range m.GetTouches() {
		row := []string{
			t.GetTime(), t.GetKind(), t.GetCreator(), t.GetCampaign(), t.GetAgreement(), number(int64(t.GetAgreementVersion())), t.GetLink(),
			t.GetPlacement(), t.GetEventId(), strconv.FormatBool(t.GetEligible()), t.GetReason(), number(t.GetAgeS()),
		}
		for _, model := range models {
			row = append(row, t.GetCredit()[model])
		}
		for _, model := range models {
			row = append(row, number(t.GetValueMinor()[model]))
		}
		s.rows = append(s.rows, row)
	}
	s.notes = append(s.notes, fmt.Sprintf("person: %s; revision %d, made by %s", m.GetPersonKind(), m.GetRevision(), m.GetCause()))
	for _, reason := range slices.Sorted(maps.Keys(m.GetOmitted())) {
		s.notes = append(s.notes, fmt.Sprintf("%d more touches: %s", m.GetOmitted()[reason], reason))
	}
	s.notes = append(s.notes, versionNote(m.GetDataVersion()))
	return s
}

func healthSheet(m *aftertouchv1.HealthResponse) *sheet {
	s := &sheet{title: title("health", m.GetParameters()), totals: m.GetTotals()}
	s.columns = []column{{name: "outcome"}, {name: "kind"}, {name: "reason"}, {name: "gross", number: true}, {name: "net", number: true}}
	for _, r := range m.GetRows() {
		s.rows = append(s.rows, []string{r.GetOutcome(), r.GetKind(), r.GetReason(), number(r.GetGross()), number(r.GetNet())})
	}
	partitions := &sheet{title: "partitions", columns: []column{
		{name: "partition", number: true},
		{name: "next_offset", number: true},
		{name: "applied_time"},
		{name: "lag_records", number: true},
		{name: "lag_ms", number: true},
	}}
	for _, p := range m.GetPartitions() {
		lag := "unknown"
		if p.GetLagRecords() >= 0 {
			lag = number(p.GetLagRecords())
		}
		partitions.rows = append(partitions.rows, []string{
			number(int64(p.GetPartition())), number(p.GetNextOffset()), p.GetAppliedTime(), lag, number(p.GetLagMs()),
		})
	}
	s.parts = []*sheet{partitions}
	s.notes = []string{versionNote(m.GetDataVersion())}
	return s
}
