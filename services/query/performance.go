package query

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/attribution"
	"github.com/aftertouch-io/aftertouch/internal/registry"
	"github.com/aftertouch-io/aftertouch/internal/store"
	"golang.org/x/sync/errgroup"
)

// dimensions of a row: the values of campaign, creator, placement, link and day, "" where the report does not group by it.
type dimensions [5]string

// Performance implements the report performance.
func (s *Service) Performance(ctx context.Context, p *aftertouchv1.Parameters) (*aftertouchv1.PerformanceResponse, error) {
	return report(ctx, s, "performance", registry.ScopeRead, func(ctx context.Context, workspace string) (*aftertouchv1.PerformanceResponse, error) {
		r, err := s.parse(workspace, p, performanceDimensions, []string{byCampaign, byCreator})
		if err != nil {
			return nil, err
		}
		return s.performance(ctx, r, p)
	})
}

func (s *Service) performance(ctx context.Context, r *request, p *aftertouchv1.Parameters) (*aftertouchv1.PerformanceResponse, error) {
	ctx = s.statementContext(ctx, r)
	version, _, err := s.dataVersion(ctx)
	if err != nil {
		return nil, err
	}
	reading, err := store.NewReading(ctx, s.conn, r.workspace, r.from, r.to, r.touches)
	if err != nil {
		return nil, err
	}
	var (
		touches *touches
		people  people
		exact   bool
		credit  *credit
		seconds map[dimensions]int64
	)
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		if touches, err = s.touches(gctx, r, reading); err == nil {
			people, exact, err = s.performancePeople(gctx, r, reading, touches.exposures)
		}
		return err
	})
	g.Go(func() (err error) { credit, err = s.credit(gctx, r, reading, !r.touches); return err })
	if r.touches { // credit by the time of the touch has no time to convert
		g.Go(func() (err error) { seconds, err = s.convertSeconds(gctx, r, reading); return err })
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	rows := map[dimensions]*aftertouchv1.PerformanceRow{}
	row := func(d dimensions) *aftertouchv1.PerformanceRow {
		if rows[d] == nil {
			rows[d] = &aftertouchv1.PerformanceRow{Campaign: d[0], Creator: d[1], Placement: d[2], Link: d[3], Day: d[4], Exact: exact}
		}
		return rows[d]
	}
	for d, c := range touches.rows {
		x := row(d)
		x.Impressions, x.Viewable, x.Engagements, x.Visits, x.Clicks, x.Invalid = c.impressions, c.viewable, c.engagements, c.visits, c.clicks, c.invalid
	}
	for key, c := range people {
		// Whoever was exposed was so by a touch; people counted earlier may have had touches that are gone.
		if d, ok := touches.names[key]; ok && c.exposed > 0 {
			x := row(d)
			x.Exposed, x.Acted = c.exposed, c.acted[""]
		}
	}
	for d := range credit.rows {
		x := row(d)
		x.Credits = credit.list(d)
		if x.TimeToConvertP50S = credit.seconds[d]; r.touches {
			x.TimeToConvertP50S = seconds[d]
		}
	}
	shown, omitted := credit.order(rows, r)
	return &aftertouchv1.PerformanceResponse{
		Report: "performance", Parameters: r.parameters(p), DataVersion: version,
		Rows: shown, OmittedRows: omitted, Totals: credit.totals(shown),
	}, nil
}

// touches are the touches of every row, what the rows' keys stand for, and the number of exposures among them.
type touches struct {
	rows      map[dimensions]*touchCounts
	names     map[uint64]dimensions
	exposures uint64
}

// touchCounts are the touches of one row.
type touchCounts struct{ impressions, viewable, engagements, visits, clicks, invalid int64 }

func (s *Service) touches(ctx context.Context, r *request, reading *store.Reading) (*touches, error) {
	all := &touches{rows: map[dimensions]*touchCounts{}, names: map[uint64]dimensions{}}
	text := statement("touches.sql", map[string]any{
		"Dimensions": r.dimensions("slot"), "Names": dimensionNames, "FactHours": reading.FactHours(r.grain()), "Scope": r.scope(),
	})
	err := s.each(ctx, "touches", text, func(rows driver.Rows) error {
		var (
			d                            dimensions
			key                          uint64
			c                            touchCounts
			viewable, invalid, exposures uint64
		)
		err := rows.Scan(&key, &d[0], &d[1], &d[2], &d[3], &d[4], &c.impressions, &viewable, &c.engagements, &c.visits, &c.clicks, &invalid, &exposures)
		if c.viewable, c.invalid = int64(viewable), int64(invalid); c != (touchCounts{}) { // derived tables keep zeros
			all.rows[d] = &c
		}
		all.names[key] = d
		all.exposures += exposures
		return err
	})
	return all, err
}

func (s *Service) convertSeconds(ctx context.Context, r *request, reading *store.Reading) (map[dimensions]int64, error) {
	medians := map[dimensions]int64{}
	text := statement("convert.sql", map[string]any{
		"Dimensions": r.dimensions("slot"), "Names": dimensionNames, "ConversionHours": reading.ConversionHours(false, r.grain()),
		"Scope": r.scope(), "ActionScope": r.actionScope(),
	})
	err := s.each(ctx, "time to convert", text, func(rows driver.Rows) error {
		var (
			d      dimensions
			median uint32
		)
		err := rows.Scan(&d[0], &d[1], &d[2], &d[3], &d[4], &median)
		medians[d] = int64(median)
		return err
	})
	return medians, err
}

// order sorts the rows, days first, then by credit of the totals' model, exposed people and names, and cuts them off.
func (c *credit) order(all map[dimensions]*aftertouchv1.PerformanceRow, r *request) (shown []*aftertouchv1.PerformanceRow, omitted int64) {
	weight := map[*aftertouchv1.PerformanceRow]int64{}
	for d, row := range all {
		for _, byModel := range c.rows[d] {
			weight[row] += byModel[c.model].parts
		}
		shown = append(shown, row)
	}
	slices.SortFunc(shown, func(a, b *aftertouchv1.PerformanceRow) int {
		return cmp.Or(
			strings.Compare(a.Day, b.Day),
			cmp.Compare(weight[b], weight[a]), cmp.Compare(b.Exposed, a.Exposed),
			strings.Compare(a.Campaign, b.Campaign), strings.Compare(a.Creator, b.Creator),
			strings.Compare(a.Placement, b.Placement), strings.Compare(a.Link, b.Link))
	})
	if len(shown) > r.limit {
		omitted = int64(len(shown) - r.limit)
		shown = shown[:r.limit]
	}
	return shown, omitted
}

// list is the credit of a row by model and currency.
func (c *credit) list(d dimensions) []*aftertouchv1.ModelCredit {
	byCurrency := c.rows[d]
	currencies := make([]string, 0, len(byCurrency))
	for currency := range byCurrency {
		currencies = append(currencies, currency)
	}
	slices.Sort(currencies)
	var list []*aftertouchv1.ModelCredit
	for _, m := range c.asked {
		for _, currency := range currencies {
			a := byCurrency[currency][m]
			list = append(list, &aftertouchv1.ModelCredit{
				Model: attribution.ModelNames[m], Currency: currency, Conversions: decimal(a.parts), ValueMinor: a.value,
			})
		}
	}
	return list
}
