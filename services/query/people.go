package query

import (
	"context"
	"fmt"
	"math"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/aftertouch-io/aftertouch/internal/store"
	"golang.org/x/sync/errgroup"
)

// never is the first exposure, in Unix ms, of people who were not exposed in the period.
const never = math.MaxInt64 / 2

// peopleCounts are the people of one row of performance.
type peopleCounts struct{ exposed, acted int64 }

// reachCounts are the exposed people of one row, whatever they did.
type reachCounts struct{ exposed, clicked, open int64 }

// effectCounts are the exposed people who did one action. known acted in the period and had been exposed before its end.
type effectCounts struct{ acted, after, before, known int64 }

// effectKey is a row of the report exposure.
type effectKey struct {
	dimensions
	action string
}

// peopleArgs returns what the statements about people need. everBefore also looks at exposures before the period; byAction
// keeps actions apart.
func (r *request) peopleArgs(reading *store.Reading, g *graph, everBefore, byAction bool) map[string]any {
	since, act := reading.From, "''"
	if everBefore {
		since = 0
	}
	if byAction {
		act = "action"
	}
	args := map[string]any{
		"Dimensions": r.dimensions("at"), "Names": dimensionNames, "ByDay": r.groups(byDay),
		"Exposures": reading.Exposures(since, r.scope()), "ActionScope": r.actionScope(), "Act": act,
		"From": instant(reading.From), "To": instant(reading.To), "FromMs": reading.From, "ToMs": reading.To,
		"Never": never, "Within": r.within.Milliseconds(), "Now": r.now.UnixMilli(),
	}
	g.args(args)
	return args
}

// instant writes a time in Unix ms.
func instant(ms int64) string { return fmt.Sprintf("fromUnixTimestamp64Milli(toInt64(%d), 'UTC')", ms) }

// people counts the exposed and acting people of each row.
func (s *Service) people(ctx context.Context, r *request, reading *store.Reading) (map[dimensions]*peopleCounts, bool, error) {
	shape, err := s.graph(ctx, r.workspace)
	if err != nil {
		return nil, false, err
	}
	args := r.peopleArgs(reading, shape, false, false)
	var (
		reach   map[dimensions]*reachCounts
		effects map[effectKey]*effectCounts
	)
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) { reach, err = s.reach(gctx, args); return err })
	g.Go(func() (err error) { effects, err = s.effects(gctx, args); return err })
	if err := g.Wait(); err != nil {
		return nil, false, err
	}
	people := map[dimensions]*peopleCounts{}
	for d, c := range reach {
		people[d] = &peopleCounts{exposed: c.exposed}
		if e := effects[effectKey{d, ""}]; e != nil {
			people[d].acted = e.acted
		}
	}
	return people, true, nil
}

func (s *Service) reach(ctx context.Context, args map[string]any) (map[dimensions]*reachCounts, error) {
	counts := map[dimensions]*reachCounts{}
	err := s.each(ctx, "exposed people", statement("reach.sql", args), func(rows driver.Rows) error {
		var (
			d dimensions
			n [3]uint64
		)
		err := rows.Scan(&d[0], &d[1], &d[2], &d[3], &d[4], &n[0], &n[1], &n[2])
		counts[d] = &reachCounts{int64(n[0]), int64(n[1]), int64(n[2])}
		return err
	})
	return counts, err
}

func (s *Service) effects(ctx context.Context, args map[string]any) (map[effectKey]*effectCounts, error) {
	counts := map[effectKey]*effectCounts{}
	err := s.each(ctx, "acting people", statement("effects.sql", args), func(rows driver.Rows) error {
		var (
			k effectKey
			n [4]uint64
		)
		d := &k.dimensions
		err := rows.Scan(&d[0], &d[1], &d[2], &d[3], &d[4], &k.action, &n[0], &n[1], &n[2], &n[3])
		counts[k] = &effectCounts{int64(n[0]), int64(n[1]), int64(n[2]), int64(n[3])}
		return err
	})
	return counts, err
}

// acting counts the people who acted in the period, by action, of all actions that there ever were.
func (s *Service) acting(ctx context.Context, args map[string]any) (map[string]int64, error) {
	counts := map[string]int64{}
	err := s.each(ctx, "acting people", statement("acting.sql", args), func(rows driver.Rows) error {
		var (
			action string
			n      uint64
		)
		err := rows.Scan(&action, &n)
		counts[action] = int64(n)
		return err
	})
	return counts, err
}
