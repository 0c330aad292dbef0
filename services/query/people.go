package query

import (
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/aftertouch-io/aftertouch/internal/store"
)

// never is the first exposure, in Unix ms, of people who were not exposed in the period.
const never = math.MaxInt64 / 2

// peopleCounts are the exposed people of one row. acted, after and before are by action, or under "" for any action; known
// acted in the period and had been exposed before its end.
type peopleCounts struct {
	exposed, clicked, open      int64
	acted, after, before, known map[string]int64
}

// people are the counts of every row, by the row's key: the hash of its dimensions.
type people map[uint64]*peopleCounts

// peopleQuery says which people are asked for.
type peopleQuery struct {
	// everBefore also looks at exposures before the period.
	everBefore bool
	// actions are kept apart, at most maxActions; none for what people did at all.
	actions []string
}

// maxActions is the number of actions that one statement keeps apart.
const maxActions = 64

// args returns what the statements about people need.
func (q peopleQuery) args(r *request, reading *store.Reading, g *graph) map[string]any {
	since := reading.From
	if q.everBefore {
		since = 0
	}
	args := map[string]any{
		"Key": r.key("at"), "Dimensions": r.dimensions("at"), "ByDay": r.groups(byDay), "Broad": r.creator == "", "ByAction": len(q.actions) > 0,
		"Actions": len(q.actions), "ActionList": quoted(q.actions),
		"Exposures": reading.Exposures(since, r.scope()), "ActionScope": r.actionScope(),
		"From": instant(reading.From), "To": instant(reading.To), "FromMs": reading.From, "ToMs": reading.To,
		"Never": never, "Within": r.within.Milliseconds(), "Now": r.now.UnixMilli(),
	}
	g.args(args)
	return args
}

// key returns the expression of a row's key. It equals the key in touches.sql.
func (r *request) key(slot string) string {
	of := r.dimensionOf(slot)
	parts := make([]string, len(performanceDimensions))
	for i, d := range performanceDimensions {
		parts[i] = of["d"+d]
	}
	return "cityHash64(" + strings.Join(parts, ", ") + ")"
}

// instant writes a time in Unix ms.
func instant(ms int64) string { return fmt.Sprintf("fromUnixTimestamp64Milli(toInt64(%d), 'UTC')", ms) }

// people counts the exposed people of each row and what they did.
func (s *Service) people(ctx context.Context, q peopleQuery, args map[string]any) (people, error) {
	counts := people{}
	err := s.each(ctx, "people", statement("people.sql", args), func(rows driver.Rows) error {
		var (
			key     uint64
			n       [4]uint64
			numbers [4][]uint64
		)
		dest := []any{&key, &n[0], &n[1], &n[2], &n[3]}
		if len(q.actions) > 0 {
			dest = []any{&key, &n[0], &n[1], &n[2], &numbers[0], &numbers[1], &numbers[2], &numbers[3]}
		}
		if err := rows.Scan(dest...); err != nil {
			return err
		}
		c := &peopleCounts{exposed: int64(n[0]), clicked: int64(n[1]), open: int64(n[2]), acted: map[string]int64{"": int64(n[3])}}
		if len(q.actions) > 0 {
			c.acted, c.after = byAction(q.actions, numbers[0]), byAction(q.actions, numbers[1])
			c.before, c.known = byAction(q.actions, numbers[2]), byAction(q.actions, numbers[3])
		}
		counts[key] = c
		return nil
	})
	return counts, err
}

func byAction(actions []string, numbers []uint64) map[string]int64 {
	m := make(map[string]int64, len(actions))
	for i, action := range actions {
		m[action] = int64(numbers[i])
	}
	return m
}

// names returns the dimensions that the keys of people stand for; nothing when there can be one row only.
func (s *Service) names(ctx context.Context, r *request, args map[string]any) (map[uint64]dimensions, error) {
	names := map[uint64]dimensions{}
	if r.oneRow() {
		return names, nil
	}
	err := s.each(ctx, "dimensions", statement("names.sql", args), func(rows driver.Rows) error {
		var (
			key uint64
			d   dimensions
		)
		err := rows.Scan(&key, &d[0], &d[1], &d[2], &d[3], &d[4])
		names[key] = d
		return err
	})
	return names, err
}

// quoted writes action names for a list; they are stored ones, or checked.
func quoted(names []string) string {
	parts := make([]string, len(names))
	for i, name := range names {
		parts[i] = "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(name) + "'"
	}
	return strings.Join(parts, ", ")
}

// actions returns the action asked for, else every action that there is a conversion of.
func (s *Service) actions(ctx context.Context, r *request) (names []string, err error) {
	if r.action != "" {
		return []string{r.action}, nil
	}
	err = s.each(ctx, "actions", statement("actions.sql", nil), func(rows driver.Rows) error {
		var action string
		err := rows.Scan(&action)
		names = append(names, action)
		return err
	})
	return names, err
}

// acting counts the people who acted in the period, by action.
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
