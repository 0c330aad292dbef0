package attributor

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"
)

// fixedLog returns a rig whose log holds the world and all messages, and what an undisturbed run over it leaves.
func fixedLog(t *testing.T, seed uint64, n int) (r *rig, w *world, rows map[string][]string, states map[string]string) {
	t.Helper()
	r, w = newRig(t, 3), makeWorld(t, seed, n)
	r.append(t, w.recs)
	s := newSite(t, r)
	s.run(t)
	if f := s.failures(); len(f) > 0 {
		t.Fatalf("undisturbed run failed: %v", f)
	}
	rows = s.rows(t)
	if len(rows["facts"]) < n/2 || len(rows["journeys"]) < n/15 || len(rows["identities"]) == 0 {
		t.Fatalf("%d facts, %d journeys, %d identities: the world is too quiet", len(rows["facts"]), len(rows["journeys"]), len(rows["identities"]))
	}
	return r, w, rows, s.states(t, slices.Collect(maps.Keys(w.entities)))
}

// TestACrashAfterAnyStepChangesNoRow crashes at each step of the protocol, several times, and compares what is read, and
// the state, with an undisturbed run over the same log.
func TestACrashAfterAnyStepChangesNoRow(t *testing.T) {
	r, w, rows, states := fixedLog(t, 1, 180)
	for _, point := range []string{
		"before produce", "after produce", "before insert", "after insert",
		"before commit", "after commit", "before commit offset", "after commit offset",
	} {
		t.Run(point, func(t *testing.T) {
			s := newSite(t, r)
			s.cfg.MaxRecords, s.writer = 15, discard{}
			s.faults.fail(point, 1, 2, 5, 6, 9)
			s.run(t)
			if s.faults.hits != 5 {
				t.Fatalf("crashed %d times", s.faults.hits)
			}
			diffRows(t, point, rows, s.rows(t))
			diff(t, point, states, s.states(t, slices.Collect(maps.Keys(w.entities))), func(a, b string) bool { return a == b })
		})
	}
}

func TestRowsDoNotDependOnTheSizeOfBatches(t *testing.T) {
	r, _, rows, _ := fixedLog(t, 2, 120)
	for _, tt := range []struct{ records, bytes, rows int }{{1, 16 << 20, 1000}, {7, 16 << 20, 1000}, {1000, 1 << 10, 1000}, {1000, 16 << 20, 3}} {
		t.Run(fmt.Sprintf("%d records %d bytes %d rows", tt.records, tt.bytes, tt.rows), func(t *testing.T) {
			s := newSite(t, r)
			s.cfg.MaxRecords, s.cfg.MaxBytes, s.cfg.MaxRows, s.writer = tt.records, tt.bytes, tt.rows, discard{}
			s.run(t)
			if f := s.failures(); len(f) > 0 {
				t.Fatal(f)
			}
			diffRows(t, "batches", rows, s.rows(t))
		})
	}
}

// TestCrashesWhileMessagesTravelChangeNoJourney crashes while the log is being written: messages are appended again, and
// come in other orders. Journeys are compared without what says where in the log their causes are.
func TestCrashesWhileMessagesTravelChangeNoJourney(t *testing.T) {
	const facts = "SELECT formatRow('JSONEachRow', * EXCEPT (version, changed_offset, duplicates, epoch, partition, cause_offset)) AS r FROM facts FINAL ORDER BY r"
	w := makeWorld(t, 3, 200)
	run := func(crash bool) map[string][]string {
		r := newRig(t, 3)
		s := newSite(t, r)
		s.cfg.MaxRecords = 20
		if crash {
			s.faults.fail("after produce", 1, 3, 6)
			s.faults.fail("after insert", 4)
			s.faults.fail("before commit", 7)
			s.faults.fail("after commit", 5, 9)
			s.faults.fail("before produce", 8)
		}
		r.append(t, w.recs)
		s.run(t)
		if want := map[bool]int{true: 8}[crash]; s.faults.hits != want {
			t.Fatalf("crashed %d times", s.faults.hits)
		}
		return map[string][]string{"journeys": s.query(t, journeysSQL), "facts": s.query(t, facts)}
	}
	diffRows(t, "crashes", run(false), run(true))
}

// TestAFailingStepIsRepeatedAsItIs lets the first attempts of a step fail and be repeated, without a restart.
func TestAFailingStepIsRepeatedAsItIs(t *testing.T) {
	r, _, rows, _ := fixedLog(t, 4, 60)
	s := newSite(t, r)
	s.cfg.RetryFor = 10 * time.Second
	s.faults.fail("after produce", 1, 2)
	s.writer = discard{}
	s.run(t)
	if f := s.failures(); len(f) > 0 || s.faults.hits != 2 {
		t.Fatalf("%d faults, failures %v", s.faults.hits, f)
	}
	if n := s.counter(t, "aftertouch_attributor_errors_total", "stage", "produce"); n != 2 {
		t.Errorf("%v failed attempts counted", n)
	}
	diffRows(t, "repeated", rows, s.rows(t))
}
