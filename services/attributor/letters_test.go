package attributor

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/attribution"
	"github.com/aftertouch-io/aftertouch/internal/event"
	"github.com/aftertouch-io/aftertouch/internal/eventlog"
)

// click is a stamped click of a visitor.
func click(id, visitor, agreement string, version uint32, registryOffset int64) *aftertouchv1.Event {
	return &aftertouchv1.Event{
		EventId: id, VisitorId: visitor, EventTime: event.Time(begin), Link: "l0", Kind: &aftertouchv1.Event_Click{Click: &aftertouchv1.Click{}},
		Stamps: &aftertouchv1.Stamps{
			ReceivedTime: event.Time(begin), Source: aftertouchv1.Stamps_browser, WorkspaceVersion: 1, RegistryOffset: registryOffset,
			Terms: &aftertouchv1.Terms{AgreementId: agreement, AgreementVersion: version, CampaignId: "spring", CreatorId: "c0"},
		},
	}
}

func (s *site) facts(t testing.TB) string {
	t.Helper()
	return strings.Join(s.query(t, "SELECT event_id FROM facts FINAL ORDER BY event_id"), " ")
}

// wantLetters compares the dead letters' reasons, as counted by prefix.
func (s *site) wantLetters(t testing.TB, want map[string]int) {
	t.Helper()
	got := map[string]int{}
	for _, reason := range s.letters.reason {
		word, detail, _ := strings.Cut(reason, ": ")
		if detail == "" {
			t.Errorf("dead letter %q has no detail", reason)
		}
		got[word]++
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("dead letters %v, want %v", got, want)
	}
	for reason, n := range want {
		if got := s.counter(t, "aftertouch_attributor_rejected_records_total", "reason", reason); got != float64(n) {
			t.Errorf("%v %s counted, want %d", got, reason, n)
		}
	}
}

func TestRecordsThatCannotBeAppliedGoToDeadLettersAndThePartitionMovesOn(t *testing.T) {
	r := newRig(t, 1)
	w := newWorld(1)
	v := event.VisitorAddress(shop, "v")
	w.add(t, v, click("first", "v", "a0", 1, 1))
	w.recs = append(w.recs,
		eventlog.Record{Key: []byte("shop/v:v"), Value: []byte{0xff, 0xff, 0xff}},
		eventlog.Record{Key: []byte("no address"), Value: w.recs[0].Value},
		eventlog.Record{Key: []byte("shop/v:" + strings.Repeat("x", maxKey)), Value: w.recs[0].Value},
		eventlog.Record{Key: []byte("shop/v:v"), Value: nil})
	w.add(t, v, click("unknown-version", "v", "a0", 7, 1))
	w.add(t, v, click("unknown-agreement", "v", "zz", 1, 1))
	w.add(t, event.VisitorAddress("elsewhere", "v"), click("unknown-workspace", "v", "a0", 1, 1))
	w.add(t, v, click("not-in-force", "v", "a0", 0, 1))
	w.add(t, v, click("last", "v", "a1", 1, 1))
	r.append(t, w.recs)
	s := newSite(t, r)
	s.run(t)
	if f := s.failures(); len(f) > 0 {
		t.Fatal(f)
	}
	s.wantLetters(t, map[string]int{reasonUndecodable: 4, reasonUnknownVersion: 2, reasonUnknownWorkspace: 1})
	if got := s.facts(t); got != "first last not-in-force" {
		t.Errorf("facts of %q", got)
	}
}

// panicky panics for events whose id begins with "poison".
type panicky struct{ core }

func (p panicky) Apply(rec *event.Record, out *attribution.Effects) error {
	// What the record leaves behind must not be kept.
	err := p.core.Apply(rec, out)
	if strings.HasPrefix(rec.Event.GetEventId(), "poison") {
		panic("BUG: " + rec.Event.GetEventId())
	}
	return err
}

func (s *site) runPanicky(t *testing.T, maxBugs int) {
	t.Helper()
	s.cfg.MaxBugs = maxBugs
	s.wrapCore = func(c core) core { return panicky{c} }
	s.run(t)
}

func TestARecordThatPanicsIsSetAsideAndLeavesNoTrace(t *testing.T) {
	r := newRig(t, 1)
	w := newWorld(1)
	v := event.VisitorAddress(shop, "v")
	for _, id := range []string{"a", "poison1", "b", "poison2", "c"} {
		w.add(t, v, click(id, "v", "a0", 1, 1))
	}
	r.append(t, w.recs)
	s := newSite(t, r)
	s.runPanicky(t, 2)
	if f := s.failures(); len(f) > 0 {
		t.Fatal(f)
	}
	s.wantLetters(t, map[string]int{reasonBug: 2})
	if got := s.facts(t); got != "a b c" {
		t.Errorf("facts of %q", got)
	}
	// The state is that of a log without the poisonous records.
	clean := newRig(t, 1)
	clean.append(t, []eventlog.Record{w.recs[0], w.recs[2], w.recs[4]})
	want := newSite(t, clean)
	want.run(t)
	const touches = "SELECT formatRow('JSONEachRow', * EXCEPT (version, changed_offset, cause_offset, log_day)) AS r FROM facts FINAL ORDER BY r"
	diffRows(t, "poison", map[string][]string{"facts": want.query(t, touches)}, map[string][]string{"facts": s.query(t, touches)})
}

func TestTooManyPanicsStopThePartitionInsteadOfSettingEverythingAside(t *testing.T) {
	r := newRig(t, 1)
	w := newWorld(1)
	for i := range 5 {
		w.add(t, event.VisitorAddress(shop, "v"), click(fmt.Sprintf("poison%d", i), "v", "a0", 1, 1))
	}
	r.append(t, w.recs)
	s := newSite(t, r)
	s.runPanicky(t, 2)
	f := s.failures()
	if len(f) != 1 || !errors.Is(f[0], errTooManyBugs) || !errors.Is(f[0], eventlog.ErrStopPartition) {
		t.Fatalf("failures: %v", f)
	}
	if s.offsets[0] != 0 || len(s.letters.reason) != 0 {
		t.Errorf("offset %d committed, dead letters %v", s.offsets[0], s.letters.reason)
	}
}

func TestRecordsWaitForTheRegistryThatTheyWereStampedWith(t *testing.T) {
	r := newRig(t, 1)
	w := newWorld(1)
	w.add(t, event.VisitorAddress(shop, "v"), click("early", "v", "a0", 1, 5))
	w.add(t, event.VisitorAddress(shop, "v"), click("late", "v", "a0", 1, 9))
	r.append(t, w.recs[:1])
	s := newSite(t, r)
	s.registry.offset = 4
	done := make(chan struct{})
	go func() {
		defer close(done)
		time.Sleep(300 * time.Millisecond)
		if n := len(s.query(t, "SELECT event_id FROM facts FINAL")); n != 0 {
			t.Errorf("%d facts before the registry was there", n)
		}
		s.registry.advance(5)
	}()
	a := s.run(t)
	<-done
	if got := s.facts(t); got != "early" {
		t.Errorf("facts of %q", got)
	}
	if len(a.Lag()) > 1 {
		t.Errorf("lags %+v", a.Lag())
	}
}
