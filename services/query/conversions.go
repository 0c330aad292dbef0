package query

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/attribution"
	"github.com/aftertouch-io/aftertouch/internal/registry"
	"github.com/aftertouch-io/aftertouch/internal/store"
	"golang.org/x/sync/errgroup"
)

// Conversions implements the report conversions.
func (s *Service) Conversions(ctx context.Context, p *aftertouchv1.Parameters) (*aftertouchv1.ConversionsResponse, error) {
	return report(ctx, s, "conversions", registry.ScopeAdmin, func(ctx context.Context, workspace string) (*aftertouchv1.ConversionsResponse, error) {
		r, err := s.parse(workspace, p, nil, nil)
		if err != nil {
			return nil, err
		}
		return s.conversions(ctx, r, p)
	})
}

func (s *Service) conversions(ctx context.Context, r *request, p *aftertouchv1.Parameters) (*aftertouchv1.ConversionsResponse, error) {
	ctx = s.statementContext(ctx, r)
	version, _, err := s.dataVersion(ctx)
	if err != nil {
		return nil, err
	}
	reading, err := store.NewReading(ctx, s.conn, r.workspace, r.from, r.to, r.touches)
	if err != nil {
		return nil, err
	}
	args := map[string]any{"Where": r.conversionsWhere(), "Limit": r.limit}
	var (
		rows   []*aftertouchv1.ConversionRow
		count  uint64
		credit *credit
	)
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) { credit, err = s.creditTotals(gctx, r, reading); return err })
	g.Go(func() error {
		return s.each(gctx, "the number of conversions", statement("conversions_count.sql", args), func(rows driver.Rows) error {
			return rows.Scan(&count)
		})
	})
	g.Go(func() error {
		return s.each(gctx, "conversions", statement("conversions.sql", args), func(list driver.Rows) error {
			var c conversionScan
			if err := list.Scan(c.dest()...); err != nil {
				return err
			}
			rows = append(rows, c.proto(r))
			return nil
		})
	})
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return &aftertouchv1.ConversionsResponse{
		Report: "conversions", Parameters: r.parameters(p), DataVersion: version,
		Rows: rows, OmittedRows: max(0, int64(count)-int64(len(rows))), Totals: credit.filterTotals(),
	}, nil
}

// conversionsWhere returns the condition for the report's conversions: with a campaign or creator, those that it has credit
// of.
func (r *request) conversionsWhere() string {
	where := fmt.Sprintf("workspace = {workspace:String} AND time >= %s AND time < %s AND %s",
		instant(r.from.UnixMilli()), instant(r.to.UnixMilli()), r.actionScope())
	switch {
	case r.campaign != "" && r.creator != "":
		where += " AND arrayExists((a, b) -> a = {campaign:String} AND b = {creator:String}, credits.campaign_id, credits.creator_id)"
	case r.campaign != "":
		where += " AND has(credits.campaign_id, {campaign:String})"
	case r.creator != "":
		where += " AND has(credits.creator_id, {creator:String})"
	}
	return where
}

// conversionScan holds one row of conversion_columns.sql.
type conversionScan struct {
	row                        aftertouchv1.ConversionRow
	timeMs                     int64
	touches, eligible, records uint32
	campaigns, creators        []string
	credits                    [][]uint32
	values                     [][]int64
}

func (c *conversionScan) dest() []any {
	r := &c.row
	return []any{
		&r.Action, &r.OrderId, &r.OrderScope, &r.EventId, &c.timeMs, &r.ValueMinor, &r.Currency, &r.Status, &r.Reason,
		&c.touches, &c.eligible, &r.Flags, &c.records, &c.campaigns, &c.creators, &c.credits, &c.values,
	}
}

// proto returns the row with its credit by model, campaign and creator.
func (c *conversionScan) proto(r *request) *aftertouchv1.ConversionRow {
	row := &c.row
	row.Time = formatMillis(c.timeMs)
	row.Touches, row.EligibleTouches, row.Records = int32(c.touches), int32(c.eligible), int32(c.records)
	type creator struct{ campaign, creator string }
	for m := range attribution.Model(attribution.NumModels) {
		if !r.allModels && m != r.model {
			continue
		}
		sums := map[creator]amount{}
		var order []creator
		for i := range c.campaigns {
			k := creator{c.campaigns[i], c.creators[i]}
			if _, ok := sums[k]; !ok {
				order = append(order, k)
			}
			sums[k] = sums[k].plus(amount{int64(c.credits[m][i]), c.values[m][i]})
		}
		for _, k := range order {
			row.Credits = append(row.Credits, &aftertouchv1.CreatorCredit{
				Model: attribution.ModelNames[m], Creator: k.creator, Campaign: k.campaign,
				Credit: decimal(sums[k].parts), ValueMinor: sums[k].value,
			})
		}
	}
	return row
}

// formatMillis writes a time as RFC 3339 in UTC with milliseconds.
func formatMillis(ms int64) string {
	return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z07:00")
}
