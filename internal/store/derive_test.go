package store_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/attribution"
	"github.com/aftertouch-io/aftertouch/internal/event"
	"github.com/aftertouch-io/aftertouch/internal/store"
	"github.com/aftertouch-io/aftertouch/internal/store/storetest"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// What reports read, as text: sums by dimension without rows of zeros, which only derived tables have.
const (
	factHoursText = `SELECT concat('fact ', toString(slot), ' ', campaign_id, '/', creator_id, '/', placement_id, '/', link_id, ' ', toString(kind), ' ',
		toString(sum(events)), ' ', toString(sum(invalid)), ' ', toString(sum(viewable)), ' ', toString(sum(exposing)), ' ',
		toString(sum(duplicates)), ' ', toString(sumMap(flags))) AS line
		FROM %s GROUP BY slot, campaign_id, creator_id, placement_id, link_id, kind HAVING sum(events) > 0 ORDER BY line`
	exposuresText = `SELECT concat('exposure ', creator_id, '/', campaign_id, '/', placement_id, '/', link_id, ' ', hex(entity_hash), ' ', toString(click), ' ',
		toString(pseudo), ' ', toString(arraySort(groupArrayArray(arrayPushFront(later_times, first_time))))) AS line
		FROM %s GROUP BY creator_id, campaign_id, placement_id, link_id, entity_hash, click, pseudo ORDER BY line`
	conversionHoursText = `SELECT concat(toString(entry), ' ', toString(slot), ' ', action, ' ', currency, ' ', toString(status), ' ', reason, ' ',
		campaign_id, '/', creator_id, '/', placement_id, '/', link_id, ' ', toString(sum(conversions)), ' ', toString(sum(value_minor)), ' ',
		toString([sum(credit_first_touch), sum(credit_last_touch), sum(credit_linear), sum(credit_position_based), sum(credit_time_decay)]),
		toString([sum(value_first_touch), sum(value_last_touch), sum(value_linear), sum(value_position_based), sum(value_time_decay)]),
		toString(arraySort(groupArrayArray(convert_seconds)))) AS line
		FROM %s GROUP BY entry, slot, action, currency, status, reason, campaign_id, creator_id, placement_id, link_id
		HAVING sum(conversions) > 0 OR sum(credit_linear) > 0 ORDER BY line`
)

// wholePeriod takes the slots out of a text: what they are depends on what is derived by day.
func wholePeriod(text string) string {
	return strings.NewReplacer("toString(slot), ' ', ", "", "GROUP BY slot, ", "GROUP BY ", "GROUP BY entry, slot, ", "GROUP BY entry, ").Replace(text)
}

// readings returns everything that reports read of a period.
func readings(t *testing.T, s *store.Store, from, to time.Time) string {
	t.Helper()
	ctx := clickhouse.Context(storetest.Context(t), clickhouse.WithSettings(store.ReadSettings()),
		clickhouse.WithParameters(clickhouse.Parameters{"workspace": storetest.Workspace}))
	var out []string
	for _, touches := range []bool{false, true} {
		r, err := store.NewReading(ctx, s.Conn(), storetest.Workspace, from, to, touches)
		if err != nil {
			t.Fatal(err)
		}
		for _, sql := range []string{
			fmt.Sprintf(factHoursText, r.FactHours(store.ByQuarter)),
			fmt.Sprintf(exposuresText, r.Exposures(0, "true")),
			fmt.Sprintf(conversionHoursText, r.ConversionHours(touches, store.ByQuarter)),
			fmt.Sprintf(wholePeriod(factHoursText), r.FactHours(store.ByDay)),
			fmt.Sprintf(wholePeriod(conversionHoursText), r.ConversionHours(touches, store.ByDay)),
		} {
			var lines []string
			rows, err := s.Conn().Query(ctx, sql)
			if err != nil {
				t.Fatalf("%v\n%s", err, sql)
			}
			for rows.Next() {
				var line string
				if err := rows.Scan(&line); err != nil {
					t.Fatal(err)
				}
				lines = append(lines, line)
			}
			if err := errors.Join(rows.Err(), rows.Close()); err != nil {
				t.Fatalf("%v\n%s", err, sql)
			}
			out = append(out, lines...)
		}
	}
	return strings.Join(out, "\n")
}

func deriver(t *testing.T, s *store.Store) *store.Deriver {
	t.Helper()
	cfg := store.DefaultDeriver()
	cfg.RowsPerStatement = 50 // so that a partition needs several statements
	d, err := store.NewDeriver(s.Conn(), cfg, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func refresh(t *testing.T, d *store.Deriver) int {
	t.Helper()
	n, err := d.Refresh(storetest.Context(t))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// someFacts returns n facts of a few visitors, creators and days, from a seed.
func someFacts(rnd *rand.Rand, n int, offset int64) []attribution.Fact {
	facts := make([]attribution.Fact, n)
	for i := range facts {
		d := time.Duration(rnd.IntN(72*60)) * time.Minute
		e := &aftertouchv1.Event{
			EventId: fmt.Sprintf("e%d-%d", offset, i), EventTime: timestamppb.New(storetest.Start.Add(d)),
			Stamps: &aftertouchv1.Stamps{
				ReceivedTime: timestamppb.New(storetest.Start.Add(d)),
				Terms:        &aftertouchv1.Terms{CampaignId: "spring", CreatorId: []string{"ann", "bob", ""}[rnd.IntN(3)]},
			},
		}
		switch rnd.IntN(4) {
		case 0:
			e.Kind = &aftertouchv1.Event_Click{Click: &aftertouchv1.Click{}}
		case 1:
			e.Kind = &aftertouchv1.Event_Visit{Visit: &aftertouchv1.Visit{}}
		default:
			v := aftertouchv1.Impression_Viewability(rnd.IntN(3))
			e.Kind = &aftertouchv1.Event_Impression{Impression: &aftertouchv1.Impression{Viewability: v}}
		}
		if rnd.IntN(8) == 0 {
			e.Stamps.Flags = []string{event.FlagRobot}
		}
		to := event.VisitorAddress(storetest.Workspace, fmt.Sprintf("v%d", rnd.IntN(5)))
		if rnd.IntN(6) == 0 {
			to = event.ClickAddress(storetest.Workspace, e.EventId)
		}
		f := storetest.Fact(to, e, offset)
		f.LogDay += uint16(rnd.IntN(2))
		f.Duplicates = uint32(rnd.IntN(2))
		facts[i] = f
	}
	return facts
}

// batchOf returns a batch of partition 1 whose rows were caused by the record at offset.
func batchOf(offset int64, e attribution.Effects) *store.Batch {
	return &store.Batch{Epoch: 1, Partition: 1, From: offset, To: offset + 1, Timestamp: storetest.At(0), IdentityKey: storetest.Key, Effects: &e}
}

// TestWhatIsDerivedIsWhatTheRowsSay compares the readings before and after deriving over changing rows: new ones, facts and
// conversions that move to other hours, and conversions whose credit goes to somebody else. Periods begin and end anywhere.
func TestWhatIsDerivedIsWhatTheRowsSay(t *testing.T) {
	s := storetest.Open(t)
	d := deriver(t, s)
	rnd := rand.New(rand.NewPCG(1, 2))
	var facts []attribution.Fact
	orders := map[string]time.Duration{}
	creators := []string{"ann", "bob", "cy"}
	for round := range int64(4) {
		offset := 1000 * (round + 1)
		e := attribution.Effects{Facts: someFacts(rnd, 60, offset)}
		for range 10 { // restated facts: an earlier record of the same event
			if len(facts) == 0 {
				break
			}
			f := &facts[rnd.IntN(len(facts))]
			f.PreviousTime, f.ReceivedTime, f.ChangedOffset, f.Cause.Offset = f.Time, f.ReceivedTime-60_000, offset, offset
			f.Time -= int64(rnd.IntN(10)) * 3_600_000
			e.Facts = append(e.Facts, *f)
		}
		facts = append(facts, e.Facts[:60]...)
		for range 15 {
			id := fmt.Sprint(rnd.IntN(25))
			at := time.Duration(rnd.IntN(70*60)) * time.Minute
			j := storetest.Journey(id, at, offset, creators[:rnd.IntN(4)]...)
			if before, ok := orders[id]; ok {
				j.PreviousTime = storetest.At(before)
			}
			orders[id] = at
			e.Journeys = append(e.Journeys, j)
		}
		storetest.Insert(t, s, batchOf(offset, e))

		periods := [][2]time.Duration{
			{-100 * time.Hour, 200 * time.Hour},
			{10*time.Hour + 7*time.Minute, 30*time.Hour + 31*time.Second},
		}
		live := make([]string, len(periods))
		for i, p := range periods {
			live[i] = readings(t, s, storetest.Start.Add(p[0]), storetest.Start.Add(p[1]))
			if !strings.Contains(live[i], "exposure ") || !strings.Contains(live[i], "touch ") {
				t.Fatalf("the readings hold too little to compare:\n%s", live[i])
			}
		}
		refresh(t, d)
		for i, p := range periods {
			if diff := cmp.Diff(live[i], readings(t, s, storetest.Start.Add(p[0]), storetest.Start.Add(p[1]))); diff != "" {
				t.Fatalf("round %d, period %v: derived differs from live (-live +derived):\n%s", round, p, diff)
			}
		}
	}
	if n := refresh(t, d); n != 0 {
		t.Errorf("%d hours are dirty after everything was derived", n)
	}
}

// TestCleanHoursAreReadFromDerivedTables shows that the comparison above compares two things.
func TestCleanHoursAreReadFromDerivedTables(t *testing.T) {
	s := storetest.Open(t)
	d := deriver(t, s)
	storetest.Insert(t, s, storetest.Batch())
	ctx := storetest.Context(t)
	r, err := store.NewReading(ctx, s.Conn(), storetest.Workspace, storetest.Start, storetest.Start.Add(24*time.Hour), false)
	if err != nil {
		t.Fatal(err)
	}
	for name, sql := range map[string]string{"fact_hours": r.FactHours(store.ByDay), "exposure_days": r.Exposures(0, "true"), "conversion_hours": r.ConversionHours(false, store.ByDay)} {
		if !strings.Contains(sql, "FROM facts FINAL") && !strings.Contains(sql, "FROM journeys FINAL") {
			t.Errorf("%s is not read live while it is dirty", name)
		}
	}
	if n := refresh(t, d); n == 0 {
		t.Fatal("nothing was derived")
	}
	if r, err = store.NewReading(ctx, s.Conn(), storetest.Workspace, storetest.Start, storetest.Start.Add(24*time.Hour), false); err != nil {
		t.Fatal(err)
	}
	for name, sql := range map[string]string{"fact_hours": r.FactHours(store.ByDay), "exposure_days": r.Exposures(0, "true"), "conversion_hours": r.ConversionHours(false, store.ByDay)} {
		if strings.Contains(sql, "FROM facts FINAL") || strings.Contains(sql, "FROM journeys FINAL") {
			t.Errorf("%s is read live though it is clean: %s", name, sql)
		}
	}
}

// TestTwoDeriversChangeNothing lets two of them work on the same hours, the second with an older reading of the marks.
func TestTwoDeriversChangeNothing(t *testing.T) {
	s := storetest.Open(t)
	storetest.Insert(t, s, storetest.Batch())
	from, to := storetest.Start, storetest.Start.Add(48*time.Hour)
	live := readings(t, s, from, to)
	results := make(chan error, 4)
	for range cap(results) {
		d := deriver(t, s)
		go func() {
			_, err := d.Refresh(t.Context())
			results <- err
		}()
	}
	for range cap(results) {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if diff := cmp.Diff(live, readings(t, s, from, to)); diff != "" {
		t.Errorf("derived differs from live (-live +derived):\n%s", diff)
	}
}

// TestADeriverRunsUntilItsContextEnds and leaves nothing dirty that has settled.
func TestADeriverRunsUntilItsContextEnds(t *testing.T) {
	s := storetest.Open(t)
	storetest.Insert(t, s, storetest.Batch())
	cfg := store.DefaultDeriver()
	cfg.Interval, cfg.Share = 10*time.Millisecond, 1
	d, err := store.NewDeriver(s.Conn(), cfg, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(storetest.Context(t), 20*time.Second)
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	for texts(t, s, "SELECT toString(count() > 0) FROM derived_hours WHERE source = 'journeys'")[0] != "1" {
		if ctx.Err() != nil {
			t.Fatal("nothing was derived in time")
		}
		time.Sleep(10 * time.Millisecond)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Run returned %v, want the error of its context", err)
	}
}
