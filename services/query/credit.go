package query

import (
	"context"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/attribution"
	"github.com/aftertouch-io/aftertouch/internal/store"
)

// byModel is credit of each model.
type byModel [attribution.NumModels]amount

// credit is what one reading of conversions says: how they ended, and the credit of the report's rows.
type credit struct {
	// model is the one that totals are of, asked those that rows show.
	model attribution.Model
	asked []attribution.Model
	// touches says that credit is by the time of the touch; then it is what counts as attributed, else conversions are.
	touches bool
	// outcomes and all credit of model by currency.
	outcomes map[string]*outcomes
	credited map[string]amount
	// rows is credit by dimensions and currency, seconds the median time to convert by dimensions, if asked for.
	rows    map[dimensions]map[string]*byModel
	seconds map[dimensions]int64
}

// creditTotals is credit for reports whose rows are no credit: of one model, without dimensions.
func (s *Service) creditTotals(ctx context.Context, r *request, reading *store.Reading) (*credit, error) {
	plain := *r
	plain.by, plain.allModels, plain.model = nil, false, r.totalsModel()
	return s.credit(ctx, &plain, reading, false)
}

// credit reads outcomes and credit of the period in one statement, and with median the time to convert, which is that of
// conversion basis.
func (s *Service) credit(ctx context.Context, r *request, reading *store.Reading, median bool) (*credit, error) {
	c := &credit{
		model: r.totalsModel(), touches: r.touches,
		outcomes: map[string]*outcomes{}, credited: map[string]amount{}, rows: map[dimensions]map[string]*byModel{},
		seconds: map[dimensions]int64{},
	}
	for m := range attribution.Model(attribution.NumModels) {
		if r.allModels || m == r.model {
			c.asked = append(c.asked, m)
		}
	}
	text := statement("credit.sql", map[string]any{
		"Names": dimensionNames, "DimensionOf": r.dimensionOf("slot"), "Models": c.models(),
		"Scope": r.scope(), "Median": median, "ActionScope": r.actionScope(), "ConversionHours": reading.ConversionHours(r.touches, r.grain()),
	})
	if err := s.each(ctx, "credit", text, c.scan); err != nil {
		return nil, err
	}
	if currency, ok := c.balanced(); !ok {
		s.metrics.unbalanced.Inc()
		s.log.Error("credit is not the attributed conversions", "workspace", r.workspace, "currency", currency)
	}
	return c, nil
}

// models are the words of the models that are asked for.
func (c *credit) models() []string {
	names := make([]string, len(c.asked))
	for i, m := range c.asked {
		names[i] = attribution.ModelNames[m]
	}
	return names
}

// balanced reports whether all credit is exactly the attributed conversions, and if not in which currency (A11).
func (c *credit) balanced() (currency string, ok bool) {
	for currency, o := range c.outcomes {
		if !c.touches && c.credited[currency] != o.attributed {
			return currency, false
		}
	}
	return "", true
}

func (c *credit) scan(rows driver.Rows) error {
	var (
		allCurrencies                uint64
		median                       uint32
		part, currency, outcome, why string
		d                            dimensions
		conversions                  uint64
		value                        int64
		parts                        [attribution.NumModels]uint64
		values                       [attribution.NumModels]int64
	)
	dest := []any{&allCurrencies, &part, &d[0], &d[1], &d[2], &d[3], &d[4], &currency, &outcome, &why, &conversions, &value, &median}
	for _, m := range c.asked {
		dest = append(dest, &parts[m], &values[m])
	}
	if err := rows.Scan(dest...); err != nil {
		return err
	}
	if allCurrencies != 0 {
		if part == "r" {
			c.seconds[d] = int64(median)
		}
		return nil
	}
	o := c.outcomes[currency]
	if o == nil {
		o = newOutcomes()
		c.outcomes[currency] = o
	}
	var all byModel
	for m := range all {
		all[m] = amount{int64(parts[m]), values[m]}
	}
	switch part {
	case "o":
		if !c.touches || outcome != attribution.Attributed.String() {
			o.add(outcome, why, amount{int64(conversions) * unit, value})
		}
		return nil
	case "r":
		if all != (byModel{}) { // derived tables keep zeros
			if c.rows[d] == nil {
				c.rows[d] = map[string]*byModel{}
			}
			c.rows[d][currency] = &all
		}
	}
	c.credited[currency] = c.credited[currency].plus(all[c.model])
	if c.touches {
		o.attributed = o.attributed.plus(all[c.model])
	}
	return nil
}

// totals are by currency. What the rows do not show of the credit is other.
func (c *credit) totals(rows []*aftertouchv1.PerformanceRow) map[string]*aftertouchv1.Totals {
	shown := map[string]amount{}
	for _, row := range rows {
		d := dimensions{row.Campaign, row.Creator, row.Placement, row.Link, row.Day}
		for currency, models := range c.rows[d] {
			shown[currency] = shown[currency].plus(models[c.model])
		}
	}
	return c.printed(shown)
}

// filterTotals are the totals of a report whose rows are no credit: everything in the filter is attributed.
func (c *credit) filterTotals() map[string]*aftertouchv1.Totals {
	shown := map[string]amount{}
	for _, byCurrency := range c.rows {
		for currency, models := range byCurrency {
			shown[currency] = shown[currency].plus(models[c.model])
		}
	}
	return c.printed(shown)
}

// printed leaves out currencies of which there is nothing: derived tables keep zeros.
func (c *credit) printed(shown map[string]amount) map[string]*aftertouchv1.Totals {
	totals := map[string]*aftertouchv1.Totals{}
	for currency, o := range c.outcomes {
		if !o.empty() {
			totals[currency] = o.totals(shown[currency])
		}
	}
	return totals
}
