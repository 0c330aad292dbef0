package store_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/aftertouch-io/aftertouch/internal/store"
	"github.com/aftertouch-io/aftertouch/internal/store/storetest"
)

// tables are those that Insert writes, with what they are sorted by.
var tables = map[string]string{
	"facts": "workspace, entity_hash, event_hash", "journeys": "workspace, order_hash",
	"journey_changes": "workspace, order_hash, version", "identities": "workspace, from_hash, to_hash",
	"refusals": "workspace, hour, run_id, transport, reason, key_id", "progress": "epoch, partition",
	"dirty_hours": "workspace, source, log_day, hour, epoch, partition",
}

// contents returns the de-duplicated rows of every table as JSON lines.
func contents(t *testing.T, s *store.Store) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	for table, order := range tables {
		sql := "SELECT arrayStringConcat([" + jsonColumns(t, s, table) + "], '\n') FROM " + table + " FINAL ORDER BY " + order
		all[table] = texts(t, s, sql)
	}
	return all
}

func jsonColumns(t *testing.T, s *store.Store, table string) string {
	t.Helper()
	names := texts(t, s, "SELECT name FROM system.columns WHERE database = '"+s.Database()+"' AND table = '"+table+"' ORDER BY position")
	for i, name := range names {
		names[i] = "concat('" + name + " = ', toString(`" + name + "`))"
	}
	return strings.Join(names, ", ")
}

func texts(t *testing.T, s *store.Store, sql string, args ...any) []string {
	t.Helper()
	rows, err := s.Conn().Query(storetest.Context(t), sql, args...)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var v string
		if err := rows.Scan(&v); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		all = append(all, v)
	}
	if err := rows.Err(); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return all
}

func TestInsertingABatchTwiceChangesNothing(t *testing.T) {
	s := storetest.Open(t)
	storetest.Insert(t, s, storetest.Batch())
	once := contents(t, s)
	for table, rows := range once {
		if len(rows) == 0 {
			t.Errorf("%s has no rows", table)
		}
	}
	storetest.Insert(t, s, storetest.Batch())
	if diff := cmp.Diff(once, contents(t, s)); diff != "" {
		t.Errorf("second insert changed the tables (-once +twice):\n%s", diff)
	}
}

func TestInsertingABatchInHalvesGivesTheSameRows(t *testing.T) {
	whole := storetest.Open(t)
	storetest.Insert(t, whole, storetest.Batch())
	want := contents(t, whole)

	halves := storetest.Open(t)
	first, second := storetest.Batch(), storetest.Batch()
	first.Effects.Facts = first.Effects.Facts[:4]
	first.Effects.Journeys = first.Effects.Journeys[:1]
	first.Effects.Identities, first.Effects.Refusals = first.Effects.Identities[:1], nil
	first.To = 50
	second.Effects.Facts = second.Effects.Facts[3:] // one row in both
	storetest.Insert(t, halves, first)
	storetest.Insert(t, halves, second)
	storetest.Insert(t, halves, first) // and a late repetition
	got := contents(t, halves)
	// Marks say up to which offset an hour changed, so those of the first half alone differ.
	delete(want, "dirty_hours")
	delete(got, "dirty_hours")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("halves gave other rows (-whole +halves):\n%s", diff)
	}
}

func TestSmallInsertLimitsGiveTheSameRows(t *testing.T) {
	whole := storetest.Open(t)
	storetest.Insert(t, whole, storetest.Batch())

	for name, limit := range map[string]func(*store.Config){
		"rows":  func(c *store.Config) { c.MaxRows = 1 },
		"bytes": func(c *store.Config) { c.MaxBytes = 700 },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := store.Default()
			limit(&cfg)
			s := storetest.OpenEmpty(t, cfg)
			if err := s.Migrate(storetest.Context(t), store.MigrateOptions{}); err != nil {
				t.Fatal(err)
			}
			storetest.Insert(t, s, storetest.Batch())
			if diff := cmp.Diff(contents(t, whole), contents(t, s)); diff != "" {
				t.Errorf("split inserts gave other rows (-whole +split):\n%s", diff)
			}
		})
	}
}

func TestTheNativeProtocolsBatchesGiveTheSameRows(t *testing.T) {
	encoded, batched := storetest.Open(t), storetest.Open(t)
	store.UseBatches(batched)
	storetest.Insert(t, encoded, storetest.Batch())
	storetest.Insert(t, batched, storetest.Batch())
	if diff := cmp.Diff(contents(t, encoded), contents(t, batched)); diff != "" {
		t.Errorf("batches gave other rows (-encoded +batched):\n%s", diff)
	}
}

func TestProgressIsThatOfTheNewestEpoch(t *testing.T) {
	s := storetest.Open(t)
	old, late := storetest.Batch(), storetest.Batch()
	old.To, old.Partition = 500, 2
	storetest.Insert(t, s, old)
	late.Epoch, late.To = 2, 7
	storetest.Insert(t, s, late)
	got, err := s.Progress(storetest.Context(t))
	if err != nil {
		t.Fatal(err)
	}
	want := map[int32]store.Progress{1: {Epoch: 2, Partition: 1, Next: 7, AppliedTime: storetest.Start.Add(time.Hour)}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("progress (-want +got):\n%s", diff)
	}
}
