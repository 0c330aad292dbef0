package query

import (
	"cmp"
	"context"
	"slices"
	"strings"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/registry"
	"github.com/aftertouch-io/aftertouch/internal/store"
	"golang.org/x/sync/errgroup"
)

// observational says what the difference to the unexposed is not (X3).
const observational = "observational: people who were exposed differ from those who were not in other ways too, so the difference is no proof of effect"

// Exposure implements the report exposure.
func (s *Service) Exposure(ctx context.Context, p *aftertouchv1.Parameters) (*aftertouchv1.ExposureResponse, error) {
	return report(ctx, s, "exposure", registry.ScopeRead, func(ctx context.Context, workspace string) (*aftertouchv1.ExposureResponse, error) {
		r, err := s.parse(workspace, p, exposureDimensions, []string{byCreator})
		if err != nil {
			return nil, err
		}
		return s.exposure(ctx, r, p)
	})
}

func (s *Service) exposure(ctx context.Context, r *request, p *aftertouchv1.Parameters) (*aftertouchv1.ExposureResponse, error) {
	ctx = s.statementContext(ctx, r)
	version, _, err := s.dataVersion(ctx)
	if err != nil {
		return nil, err
	}
	reading, err := store.NewReading(ctx, s.conn, r.workspace, r.from, r.to, r.touches)
	if err != nil {
		return nil, err
	}
	shape, err := s.graph(ctx, r.workspace)
	if err != nil {
		return nil, err
	}
	args := r.peopleArgs(reading, shape, true, true)
	var (
		reach   map[dimensions]*reachCounts
		effects map[effectKey]*effectCounts
		acting  map[string]int64
		credit  *credit
	)
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) { reach, err = s.reach(gctx, args); return err })
	g.Go(func() (err error) { effects, err = s.effects(gctx, args); return err })
	g.Go(func() (err error) { acting, err = s.acting(gctx, args); return err })
	g.Go(func() (err error) { credit, err = s.credit(gctx, r, reading); return err })
	if err := g.Wait(); err != nil {
		return nil, err
	}
	rows := exposureRows(r, reach, effects, acting)
	answer := &aftertouchv1.ExposureResponse{
		Report: "exposure", Parameters: r.parameters(p), DataVersion: version, Rows: rows, Totals: credit.filterTotals(),
	}
	if len(rows) > r.limit {
		answer.Rows, answer.OmittedRows = rows[:r.limit], int64(len(rows)-r.limit)
	}
	return answer, nil
}

// exposureRows makes a row for each creator and action. Where nobody has ever acted there is one row without an action, or
// with the one asked for.
func exposureRows(r *request, reach map[dimensions]*reachCounts, effects map[effectKey]*effectCounts, acting map[string]int64) []*aftertouchv1.ExposureRow {
	if r.action != "" || len(acting) == 0 {
		acting = map[string]int64{r.action: acting[r.action]}
	}
	if len(reach) == 0 && r.filtered() {
		// A creator who exposed nobody is an answer, too.
		reach = map[dimensions]*reachCounts{r.askedDimensions(): {}}
	}
	var rows []*aftertouchv1.ExposureRow
	for d, people := range reach {
		for action, all := range acting {
			e := effects[effectKey{d, action}]
			if e == nil {
				e = &effectCounts{}
			}
			rows = append(rows, &aftertouchv1.ExposureRow{
				Campaign: d[0], Creator: d[1], Action: action,
				Exposed: people.exposed, Clicked: people.clicked, WindowOpen: people.open,
				Acted: e.acted, After: e.after, Before: e.before, None: people.exposed - e.acted - e.after - e.before,
				UnexposedActed: all - e.known, ActedRate: rate(e.acted, people.exposed), Exact: true, Label: observational,
			})
		}
	}
	slices.SortFunc(rows, func(a, b *aftertouchv1.ExposureRow) int {
		return cmp.Or(cmp.Compare(b.Exposed, a.Exposed), strings.Compare(a.Campaign, b.Campaign),
			strings.Compare(a.Creator, b.Creator), strings.Compare(a.Action, b.Action))
	})
	return rows
}

// askedDimensions are those of the one row that a filter leaves when nothing matches it.
func (r *request) askedDimensions() (d dimensions) {
	if r.groups(byCampaign) {
		d[0] = r.campaign
	}
	if r.groups(byCreator) {
		d[1] = r.creator
	}
	return d
}
