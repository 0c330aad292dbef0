package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"golang.org/x/sync/errgroup"
)

// Reading says, for one report over one workspace and period, which hours are read from the derived tables and which from
// the rows, so that figures are complete and fresh whatever has been derived. Its methods return FROM clauses with the
// columns of the derived table of that name; they name the parameter {workspace:String}.
type Reading struct {
	// From and To bound the period, Unix ms, To exclusive.
	From, To int64
	facts    []partitionHours
	journeys []hours
}

// hours is a range of hours in seconds since 1970, the end exclusive.
type hours struct{ from, to int64 }

// partitionHours are hours of the facts in one partition.
type partitionHours struct {
	logDay uint16
	hours
}

// maxRanges bounds the conditions of one statement; above it ranges are joined, at the cost of reading more rows.
const maxRanges = 64

// slotMillis is the grain of the derived tables.
const slotMillis = 15 * 60 * 1000

// NewReading reads which hours of the period are dirty. The period's ends need not be aligned to anything. With touches,
// conversions after the period are looked at as well, for credit that falls on the time of touches.
func NewReading(ctx context.Context, conn driver.Conn, workspace string, from, to time.Time, touches bool) (*Reading, error) {
	r := &Reading{From: from.UnixMilli(), To: to.UnixMilli()}
	const hour = hourSeconds * 1000
	toHour := (r.To + hour - 1) / hour * hourSeconds
	edges := r.edges()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		dirty, err := workspaceDirty(ctx, conn, workspace, sourceFacts, 0, toHour, edges)
		r.facts = partitionRanges(dirty)
		return err
	})
	g.Go(func() error {
		if touches && len(edges) > 0 {
			// A touch in the period's first or last, broken quarter of an hour may belong to any conversion.
			r.journeys = []hours{{0, maxHour}}
			return nil
		}
		last := toHour
		if touches {
			last = maxHour
		}
		dirty, err := workspaceDirty(ctx, conn, workspace, sourceJourneys, r.From/hour*hourSeconds, last, edges)
		r.journeys = hourRanges(dirty)
		return err
	})
	return r, g.Wait()
}

// maxHour is past every time that DateTime can hold.
const maxHour = 1<<32 - 1

// edges returns the hours in which the period begins or ends within a quarter of an hour.
func (r *Reading) edges() []int64 {
	var edges []int64
	for _, ms := range []int64{r.From, r.To} {
		if ms%slotMillis != 0 {
			edges = append(edges, ms/1000/hourSeconds*hourSeconds)
		}
	}
	return edges
}

// partitionRanges returns, for each partition, the range from its first to its last dirty hour. hours come in order.
func partitionRanges(dirty []dirtyHour) []partitionHours {
	var ranges []partitionHours
	for _, d := range dirty {
		if n := len(ranges); n > 0 && ranges[n-1].logDay == d.logDay {
			ranges[n-1].to = d.hour + hourSeconds
			continue
		}
		ranges = append(ranges, partitionHours{d.logDay, hours{d.hour, d.hour + hourSeconds}})
	}
	return ranges
}

// hourRanges joins hours into at most maxRanges ranges.
func hourRanges(dirty []dirtyHour) []hours {
	starts := make([]int64, len(dirty))
	for i, d := range dirty {
		starts[i] = d.hour
	}
	slices.Sort(starts)
	for gap := int64(0); ; gap = 2*gap + hourSeconds {
		var ranges []hours
		for _, start := range starts {
			if n := len(ranges); n > 0 && start <= ranges[n-1].to+gap {
				ranges[n-1].to = start + hourSeconds
				continue
			}
			ranges = append(ranges, hours{start, start + hourSeconds})
		}
		if len(ranges) <= maxRanges {
			return ranges
		}
	}
}

// factsWhere returns the condition for dirty hours on column, which is of type DateTime or DateTime64; unit is the grain in
// seconds that ranges are widened to. With too many partitions it names whole ones.
func (r *Reading) factsWhere(column string, unit int64) string {
	if len(r.facts) == 0 {
		return "false"
	}
	if len(r.facts) > maxRanges {
		days := make([]uint16, len(r.facts))
		for i, p := range r.facts {
			days[i] = p.logDay
		}
		return "toUInt16(log_day) IN (" + integers(days) + ")"
	}
	parts := make([]string, len(r.facts))
	for i, p := range r.facts {
		parts[i] = fmt.Sprintf("(log_day = toDate(%d) AND %s)", p.logDay, between(column, p.hours, unit))
	}
	return "(" + strings.Join(parts, " OR ") + ")"
}

// journeysWhere returns the condition for dirty hours on column; unit is the grain in seconds that ranges are widened to.
func (r *Reading) journeysWhere(column string, unit int64) string {
	if len(r.journeys) == 0 {
		return "false"
	}
	parts := make([]string, len(r.journeys))
	for i, h := range r.journeys {
		parts[i] = between(column, h, unit)
	}
	return "(" + strings.Join(parts, " OR ") + ")"
}

// between returns the condition for a range on a column of times, or of days when the grain is a day.
func between(column string, h hours, unit int64) string {
	from, to := h.from/unit, (h.to+unit-1)/unit
	point := func(n int64) string { return fmt.Sprintf("toDateTime(%d, 'UTC')", n*unit) }
	if column == "day" {
		point = func(n int64) string { return fmt.Sprintf("toDate(%d)", n) }
	}
	if to*unit >= maxHour {
		return column + " >= " + point(from)
	}
	return "(" + column + " >= " + point(from) + " AND " + column + " < " + point(to) + ")"
}

// ReadSettings are the settings that statements over the tables are read with: FINAL may work on each partition alone, as
// the partition key of every table is a part of its identity; and conditions on columns of an identity, and only those, may
// leave rows out before FINAL chooses among versions.
func ReadSettings() clickhouse.Settings {
	return clickhouse.Settings{"do_not_merge_across_partitions_select_final": 1, "optimize_move_to_prewhere_if_final": 1}
}

// instant writes a time in Unix ms.
func instant(ms int64) string { return fmt.Sprintf("fromUnixTimestamp64Milli(toInt64(%d), 'UTC')", ms) }

// period returns the condition for the period on a column of times.
func (r *Reading) period(column string) string {
	return column + " >= " + instant(r.From) + " AND " + column + " < " + instant(r.To)
}

// slots returns the condition for the period on the column slot.
func (r *Reading) slots() string {
	return "slot >= " + instant(r.From) + " AND slot < " + instant(r.To)
}

// fullDays returns the condition for slots of the UTC days that are wholly in the period.
func (r *Reading) fullDays() string {
	const day = daySeconds * 1000
	from, to := (r.From+day-1)/day*day, r.To/day*day
	return "(slot >= " + instant(from) + " AND slot < " + instant(max(from, to)) + ")"
}

// Grain says how fine slots must be.
type Grain int

// Grains. ByDay is for reports that group by no time, or by UTC days: full days come as one slot, the start of the day.
const (
	ByQuarter Grain = iota
	ByDay
)

// clean returns what is derived: by quarter, or also by day, from the tables named table + _hours and _days. dirtyDays and
// dirtyHours are conditions on slots.
func (r *Reading) clean(columns, table, where string, grain Grain, dirtyDays, dirtyHours string) string {
	const from = " FINAL WHERE workspace = {workspace:String} AND "
	if grain == ByQuarter {
		return "SELECT " + columns + " FROM " + table + "_hours" + from + where + r.slots() + " AND NOT " + dirtyHours
	}
	return "SELECT " + columns + " FROM " + table + "_days" + from + where + r.fullDays() + " AND NOT " + dirtyDays +
		"\nUNION ALL\nSELECT " + columns + " FROM " + table + "_hours" + from + where + r.slots() +
		" AND (NOT " + r.fullDays() + " OR " + dirtyDays + ") AND NOT " + dirtyHours
}

// FactHours returns fact_hours for the period.
func (r *Reading) FactHours(grain Grain) string {
	const columns = "workspace, slot, log_day, campaign_id, creator_id, placement_id, link_id, kind, events, invalid, viewable," +
		" exposing, duplicates, flags"
	derived := r.clean(columns, "fact", "", grain, r.factsWhere("slot", daySeconds), r.factsWhere("slot", hourSeconds))
	if len(r.facts) == 0 {
		return "(" + derived + ")"
	}
	rows := statement("facts.sql", statementArgs{Where: r.period("time") + " AND " + r.factsWhere("time", hourSeconds)})
	return "(" + derived + "\nUNION ALL\n" + rows + ")"
}

// daySeconds is a day in seconds.
const daySeconds = 24 * hourSeconds

// Exposures returns exposures of the days from that of since, Unix ms, to the end of the period, one row for each entity,
// dimension and day, or for each exposure: entity_hash, pseudo, creator_id, campaign_id, placement_id, link_id, click,
// first_time and the later_times of that day. where is a condition on the dimensions, or "true".
func (r *Reading) Exposures(since int64, where string) string {
	const columns = "creator_id, campaign_id, placement_id, link_id, entity_hash, click, pseudo, first_time, later_times"
	days := func(column string, unit int64) string {
		from := hours{since / 1000 / daySeconds * daySeconds, (r.To/1000/daySeconds + 1) * daySeconds}
		return between(column, from, unit)
	}
	derived := "SELECT " + columns + " FROM exposure_days FINAL WHERE workspace = {workspace:String} AND exposures > 0 AND " +
		days("day", daySeconds) + " AND " + where
	if len(r.facts) == 0 {
		return "(" + derived + ")"
	}
	rows := statement("exposures.sql", statementArgs{Where: r.factsWhere("time", daySeconds) + " AND " + days("time", 1) + " AND " + where})
	return "(" + derived + " AND NOT " + r.factsWhere("day", daySeconds) +
		"\nUNION ALL\nSELECT creator_id, campaign_id, placement_id, link_id, entity_hash, click, pseudo, time, []" +
		" FROM (" + rows + "))"
}

// ConversionHours returns the entries of conversion_hours for the period: outcomes, and credit of entry conversion, or with
// touches of entry touch; that is by quarter only.
func (r *Reading) ConversionHours(touches bool, grain Grain) string {
	entry := "conversion"
	if touches {
		entry, grain = "touch", ByQuarter
	}
	const columns = "entry, slot, action, currency, status, reason, campaign_id, creator_id, placement_id, link_id, conversions, value_minor," +
		" credit_first_touch, credit_last_touch, credit_linear, credit_position_based, credit_time_decay," +
		" value_first_touch, value_last_touch, value_linear, value_position_based, value_time_decay, convert_seconds"
	where := "entry IN ('outcome', '" + entry + "') AND "
	// By day there are outcomes and conversions only, whose hour is that of their slot; and slot is what the table is sorted by.
	derived := r.clean(columns, "conversion", where, grain, r.journeysWhere("slot", daySeconds), r.journeysWhere("hour", hourSeconds))
	if len(r.journeys) == 0 {
		return "(" + derived + ")"
	}
	rows := statement("entries.sql", statementArgs{Where: r.journeysWhere("time", hourSeconds), Touches: touches, From: r.From, To: r.To})
	return "(" + derived + "\nUNION ALL\nSELECT " + columns + " FROM (" + rows + ") WHERE entry IN ('outcome', '" + entry + "'))"
}
