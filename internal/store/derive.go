package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/prometheus/client_golang/prometheus"
)

// DeriverConfig says how eagerly derived tables are made anew.
type DeriverConfig struct {
	// Interval between looks for dirty hours; default 1 s.
	Interval time.Duration `help:"Time between looks for hours whose rows changed."`
	// Share of the time that may be spent on making hours anew, above 0 to 1; default 0.25.
	Share float64 `help:"Share of the time that may be spent on making hours anew, above 0 to 1."`
	// RowsPerStatement bounds, about, the facts that one statement reads; default 4,000,000.
	RowsPerStatement uint64 `name:"rows-per-statement" help:"Facts that one statement reads, about."`
}

// DefaultDeriver returns the defaults.
func DefaultDeriver() DeriverConfig {
	return DeriverConfig{Interval: time.Second, Share: 0.25, RowsPerStatement: 4_000_000}
}

// Validate reports every value that is out of its range.
func (c DeriverConfig) Validate() error {
	var errs []error
	if c.Interval <= 0 {
		errs = append(errs, errors.New("derive interval must be above 0"))
	}
	if c.Share <= 0 || c.Share > 1 {
		errs = append(errs, errors.New("derive share must be above 0 and at most 1"))
	}
	if c.RowsPerStatement == 0 {
		errs = append(errs, errors.New("derive rows per statement must be above 0"))
	}
	return errors.Join(errs...)
}

// Deriver keeps the derived tables. One process runs it at a time; two by mistake waste work and change nothing: what an
// hour is made anew with has the sum of the marks that were read before the rows as its version, so the newer reading wins.
type Deriver struct {
	conn    driver.Conn
	cfg     DeriverConfig
	log     *slog.Logger
	metrics deriveMetrics
	// seen holds the dirty hours of the last look: an hour that changes between two looks is left to the reports, which
	// read it live, because it would be dirty again at once.
	seen map[hourKey]uint64
}

type deriveMetrics struct {
	hours    *prometheus.CounterVec
	errors   prometheus.Counter
	duration prometheus.Histogram
	dirty    prometheus.Gauge
}

// NewDeriver returns a Deriver over the tables of conn's database. It is inert until Run. Make one for each process: its
// metrics are registered once, and Run may be called again after it has returned. reg may be nil.
func NewDeriver(conn driver.Conn, cfg DeriverConfig, reg prometheus.Registerer, log *slog.Logger) (*Deriver, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configuring the deriver: %w", err)
	}
	d := &Deriver{conn: conn, cfg: cfg, log: log, seen: map[hourKey]uint64{}}
	d.metrics = deriveMetrics{
		hours: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "aftertouch_derive_out_hours", Help: "Hours made anew, by the table that changed.",
		}, []string{"source"}),
		errors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "aftertouch_derive_errors_total", Help: "Passes that failed and will be tried again.",
		}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "aftertouch_derive_duration_seconds", Help: "Time of a pass that made hours anew.",
			Buckets: prometheus.ExponentialBuckets(0.01, 2, 14),
		}),
		dirty: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "aftertouch_derive_lag_hours", Help: "Hours that were dirty at the last look; reports read them live.",
		}),
	}
	for _, c := range []prometheus.Collector{d.metrics.hours, d.metrics.errors, d.metrics.duration, d.metrics.dirty} {
		if reg == nil {
			break
		}
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("registering the deriver's metrics: %w", err)
		}
	}
	return d, nil
}

// Run looks for dirty hours and makes those anew that have settled, until ctx ends, whose error it returns. A failed pass is
// logged and tried again.
func (d *Deriver) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		}
		started := time.Now()
		n, err := d.pass(ctx, true)
		switch {
		case err != nil && ctx.Err() == nil:
			d.metrics.errors.Inc()
			d.log.Warn("making derived tables anew failed, trying again", "error", err)
		case n > 0:
			d.metrics.duration.Observe(time.Since(started).Seconds())
		}
		rest := time.Duration(float64(time.Since(started)) * (1/d.cfg.Share - 1))
		timer.Reset(max(d.cfg.Interval, rest))
	}
}

// Refresh makes everything anew that is dirty now, and returns how many hours that was.
func (d *Deriver) Refresh(ctx context.Context) (int, error) { return d.pass(ctx, false) }

// pass makes dirty hours anew: all, or those that have not changed since the pass before.
func (d *Deriver) pass(ctx context.Context, settled bool) (int, error) {
	dirty, err := allDirty(ctx, d.conn)
	if err != nil {
		return 0, err
	}
	d.metrics.dirty.Set(float64(len(dirty)))
	var work []dirtyHour
	seen := make(map[hourKey]uint64, len(dirty))
	for _, h := range dirty {
		if !settled || d.seen[h.hourKey] == h.marks {
			work = append(work, h)
		}
		seen[h.hourKey] = h.marks
	}
	d.seen = seen
	done := 0
	for _, group := range groups(work) {
		if err := d.renew(ctx, group); err != nil {
			return done, err
		}
		d.metrics.hours.WithLabelValues(group[0].source).Add(float64(len(group)))
		done += len(group)
	}
	return done, nil
}

// maxGroupHours bounds the hours of one statement over journeys.
const maxGroupHours = 7 * 24

// groups splits hours into those that are made anew together: facts by partition; journeys by month, so that an hour's
// entries become visible at once.
func groups(work []dirtyHour) [][]dirtyHour {
	var out [][]dirtyHour
	for _, h := range work {
		if n := len(out); n > 0 && together(out[n-1], h) {
			out[n-1] = append(out[n-1], h)
			continue
		}
		out = append(out, []dirtyHour{h})
	}
	return out
}

func together(group []dirtyHour, h dirtyHour) bool {
	g := group[0]
	if g.workspace != h.workspace || g.source != h.source {
		return false
	}
	if h.source == sourceFacts {
		return g.logDay == h.logDay
	}
	month := func(hour int64) string { return time.Unix(hour, 0).UTC().Format("200601") }
	return len(group) < maxGroupHours && month(g.hour) == month(h.hour)
}

// renew makes one group anew and then says that it is clean up to the marks that were read before.
func (d *Deriver) renew(ctx context.Context, group []dirtyHour) error {
	g := group[0]
	ctx = clickhouse.Context(ctx,
		clickhouse.WithParameters(clickhouse.Parameters{"workspace": g.workspace, "source": g.source}),
		clickhouse.WithSettings(renewSettings()))
	version, err := d.version(ctx)
	if err != nil {
		return err
	}
	if g.source == sourceFacts {
		err = d.renewFacts(ctx, group, version)
	} else {
		err = d.renewJourneys(ctx, group, version)
	}
	if err != nil {
		return err
	}
	return d.markClean(ctx, group)
}

// renewSettings make one statement's rows one block, hence one part for each partition.
func renewSettings() clickhouse.Settings {
	s := ReadSettings()
	s["max_insert_threads"] = 1
	s["min_insert_block_size_rows"] = 1 << 30
	s["min_insert_block_size_bytes"] = 1 << 30
	s["async_insert"] = 0
	return s
}

// version returns the sum of all marks of the source: it grows with every mark.
func (d *Deriver) version(ctx context.Context) (uint64, error) {
	var v uint64
	err := d.conn.QueryRow(ctx, statement("version.sql", statementArgs{})).Scan(&v)
	if err != nil {
		return 0, fmt.Errorf("reading the version of dirty hours: %w", err)
	}
	return v, nil
}

func (d *Deriver) renewFacts(ctx context.Context, group []dirtyHour, version uint64) error {
	hours, days := groupTimes(group)
	args := statementArgs{Version: version, LogDay: group[0].logDay, Hours: integers(hours), Days: integers(days)}
	partition := fmt.Sprintf("log_day = toDate(%d) AND ", args.LogDay)
	args.Where = partition + "toUnixTimestamp(toStartOfHour(time)) IN (" + args.Hours + ")"
	args.Rows = statement("facts.sql", args)
	if err := d.conn.Exec(ctx, statement("fact_hours.sql", args)); err != nil {
		return fmt.Errorf("making fact_hours anew: %w", err)
	}
	if err := d.conn.Exec(ctx, statement("fact_days.sql", args)); err != nil {
		return fmt.Errorf("making fact_days anew: %w", err)
	}
	ranges, err := d.ranges(ctx, args.LogDay)
	if err != nil {
		return err
	}
	for _, r := range ranges {
		args.Range = r
		args.Where = partition + "toUInt16(toDate(time)) IN (" + args.Days + ") AND " + r
		args.Rows = statement("exposures.sql", args)
		if err := d.conn.Exec(ctx, statement("exposure_days.sql", args)); err != nil {
			return fmt.Errorf("making exposure_days anew: %w", err)
		}
	}
	return nil
}

// ranges splits a partition of facts by entity, so that no statement has to hold more than about RowsPerStatement of them.
func (d *Deriver) ranges(ctx context.Context, logDay uint16) ([]string, error) {
	var rows uint64
	err := d.conn.QueryRow(ctx, fmt.Sprintf(
		"SELECT count() FROM facts WHERE workspace = {workspace:String} AND log_day = toDate(%d)", logDay)).Scan(&rows)
	if err != nil {
		return nil, fmt.Errorf("counting facts: %w", err)
	}
	n := min(rows/d.cfg.RowsPerStatement+1, 256)
	ranges := make([]string, 0, n)
	for i := range n {
		low := fmt.Sprintf("entity_hash >= unhex('%02x%030d')", 256*i/n, 0)
		if i+1 < n {
			low += fmt.Sprintf(" AND entity_hash < unhex('%02x%030d')", 256*(i+1)/n, 0)
		}
		ranges = append(ranges, low)
	}
	return ranges, nil
}

func (d *Deriver) renewJourneys(ctx context.Context, group []dirtyHour, version uint64) error {
	hours, days := groupTimes(group)
	args := statementArgs{Version: version, Hours: integers(hours), Days: integers(days), Touches: true}
	args.Where = "toUnixTimestamp(toStartOfHour(time)) IN (" + args.Hours + ")"
	args.Rows = statement("entries.sql", args)
	if err := d.conn.Exec(ctx, statement("conversion_hours.sql", args)); err != nil {
		return fmt.Errorf("making conversion_hours anew: %w", err)
	}
	if err := d.conn.Exec(ctx, statement("conversion_days.sql", args)); err != nil {
		return fmt.Errorf("making conversion_days anew: %w", err)
	}
	return nil
}

// groupTimes returns the group's hours and days, each once, in order.
func groupTimes(group []dirtyHour) (hours []int64, days []uint16) {
	for _, h := range group {
		hours = append(hours, h.hour)
		days = append(days, uint16(h.hour/daySeconds))
	}
	slices.SortFunc(hours, cmp.Compare)
	slices.Sort(days)
	return hours, slices.Compact(days)
}

func (d *Deriver) markClean(ctx context.Context, group []dirtyHour) error {
	batch, err := d.conn.PrepareBatch(ctx, "INSERT INTO derived_hours (workspace, source, log_day, hour, marks)")
	if err != nil {
		return fmt.Errorf("preparing an insert into derived_hours: %w", err)
	}
	defer batch.Close() //nolint:errcheck // it was sent, or the error is already being returned
	for _, h := range group {
		day := time.Unix(int64(h.logDay)*daySeconds, 0).UTC()
		if err := batch.Append(h.workspace, h.source, day, time.Unix(h.hour, 0).UTC(), h.marks); err != nil {
			return fmt.Errorf("filling derived_hours: %w", err)
		}
	}
	if err := batch.Send(); err != nil {
		return fmt.Errorf("inserting into derived_hours: %w", err)
	}
	return nil
}
