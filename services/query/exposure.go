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
	actions, err := s.actions(ctx, r)
	if err != nil {
		return nil, err
	}
	if len(actions) > maxActions {
		return nil, badParameter("action", "there are %d actions, more than %d at a time; name one", len(actions), maxActions)
	}
	q := peopleQuery{everBefore: true, actions: actions}
	args := q.args(r, reading, shape)
	var (
		people people
		names  map[uint64]dimensions
		acting map[string]int64
		credit *credit
	)
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) { people, err = s.people(gctx, q, args); return err })
	g.Go(func() (err error) { names, err = s.names(gctx, r, args); return err })
	g.Go(func() (err error) { acting, err = s.acting(gctx, args); return err })
	g.Go(func() (err error) { credit, err = s.creditTotals(gctx, r, reading); return err })
	if err := g.Wait(); err != nil {
		return nil, err
	}
	rows := exposureRows(r, actions, people, names, acting)
	answer := &aftertouchv1.ExposureResponse{
		Report: "exposure", Parameters: r.parameters(p), DataVersion: version, Rows: rows, Totals: credit.filterTotals(),
	}
	if len(rows) > r.limit {
		answer.Rows, answer.OmittedRows = rows[:r.limit], int64(len(rows)-r.limit)
	}
	return answer, nil
}

// exposureRows makes a row for each creator and action. Where nobody has ever acted there is one row without an action.
func exposureRows(r *request, actions []string, counts people, names map[uint64]dimensions, acting map[string]int64) []*aftertouchv1.ExposureRow {
	if len(actions) == 0 {
		actions = []string{""}
	}
	if len(counts) == 0 && r.filtered() {
		// A creator who exposed nobody is an answer, too.
		counts, names = people{0: {}}, map[uint64]dimensions{0: r.askedDimensions()}
	}
	var rows []*aftertouchv1.ExposureRow
	for key, c := range counts {
		d, ok := names[key]
		if r.oneRow() {
			d, ok = r.askedDimensions(), true
		}
		if !ok {
			continue // exposed between two statements: later than the data version
		}
		for _, action := range actions {
			acted, after, before := c.acted[action], c.after[action], c.before[action]
			rows = append(rows, &aftertouchv1.ExposureRow{
				Campaign: d[0], Creator: d[1], Action: action, Exposed: c.exposed, Clicked: c.clicked, WindowOpen: c.open,
				Acted: acted, After: after, Before: before, None: c.exposed - acted - after - before,
				UnexposedActed: acting[action] - c.known[action], ActedRate: rate(acted, c.exposed), Exact: true, Label: observational,
			})
		}
	}
	slices.SortFunc(rows, func(a, b *aftertouchv1.ExposureRow) int {
		return cmp.Or(cmp.Compare(b.Exposed, a.Exposed), strings.Compare(a.Campaign, b.Campaign),
			strings.Compare(a.Creator, b.Creator), strings.Compare(a.Action, b.Action))
	})
	return rows
}

// oneRow reports whether everything that passes the filter is of one row, the one of askedDimensions.
func (r *request) oneRow() bool {
	return (!r.groups(byCreator) || r.creator != "") && (!r.groups(byCampaign) || r.campaign != "")
}

// askedDimensions are those of the filter.
func (r *request) askedDimensions() (d dimensions) {
	if r.groups(byCampaign) {
		d[0] = r.campaign
	}
	if r.groups(byCreator) {
		d[1] = r.creator
	}
	return d
}
