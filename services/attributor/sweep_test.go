package attributor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/event"
	"github.com/aftertouch-io/aftertouch/internal/state"
	"github.com/aftertouch-io/aftertouch/internal/store"
	"github.com/prometheus/client_golang/prometheus"
)

// lines keeps what a batch's rows say, in their order.
type lines struct{ all []string }

func (l *lines) Insert(_ context.Context, b *store.Batch) error {
	for _, f := range b.Effects.Facts {
		l.all = append(l.all, fmt.Sprintln("fact", f.Entity.Local(), f.Event.EventId, f.Flags, f.Duplicates, f.LogDay, f.ChangedOffset))
	}
	for _, j := range b.Effects.Journeys {
		line := fmt.Sprintln("journey", j.Order.Local(), j.Person.Local(), j.Status, j.Reason, j.Cause, j.OrderPosition, j.Position)
		for _, t := range j.Touches {
			line += fmt.Sprintln(" touch", t.Touch.EventId, t.Eligible, t.Reason, t.Credit)
		}
		l.all = append(l.all, line)
	}
	for _, i := range b.Effects.Identities {
		l.all = append(l.all, fmt.Sprintln("identity", i.From.Local(), i.To.Local()))
	}
	return nil
}

// longAgo lets a visitor be linked to a user and another one click, then 230 days pass, then both come back and buy. It
// returns all rows, and the sizes of the two visitors' states before they come back.
func longAgo(t *testing.T, sweepKeys int) (rows []string, linked, alone int) {
	t.Helper()
	cfg := state.Default()
	cfg.Dir, cfg.SweepKeys, cfg.MemTableBytes = t.TempDir()+"/state", sweepKeys, 1<<20
	dir, err := state.NewDir(cfg, quiet(), prometheus.NewRegistry())
	must(t, err)
	t.Cleanup(dir.Close)
	sink := &lines{}
	m := newMachine(t, 1, dir, newFakeRegistry(), sink)
	at := func(ms int64, e *aftertouchv1.Event) *aftertouchv1.Event {
		m.now = ms
		e.EventTime, e.Stamps.ReceivedTime = event.Time(ms), event.Time(ms)
		return e
	}
	buy := func(ms int64, id, visitor, user string) {
		e := at(ms, click(id, visitor, "", 0, 1))
		e.UserKey = user
		e.Kind = &aftertouchv1.Event_Conversion{Conversion: &aftertouchv1.Conversion{Action: "purchase", OrderId: id, ValueMinor: 100, Currency: "EUR"}}
		m.add(t, event.OrderAddress(shop, "purchase", "", id), e)
		m.run(t)
	}
	linkedAddr, aloneAddr := event.VisitorAddress(shop, "linked"), event.VisitorAddress(shop, "alone")
	m.add(t, linkedAddr, at(begin, click("old1", "linked", "a0", 1, 1)))
	m.add(t, aloneAddr, at(begin, click("old2", "alone", "a1", 1, 1)))
	buy(begin+minute, "o1", "linked", "u")
	// Time goes by in other people's clicks: the clock follows by at most an hour a record.
	const hours = 230 * 24
	for h := range int64(hours) {
		m.add(t, event.VisitorAddress(shop, fmt.Sprintf("other%d", h%50)), at(begin+h*60*minute, click(fmt.Sprintf("c%d", h), "x", "a2", 1, 1)))
		if h%100 == 99 {
			m.run(t)
		}
	}
	m.run(t)
	size := func(a event.Address) int {
		v, err := m.partitions[0].state.State(a)
		must(t, err)
		return len(v)
	}
	linked, alone = size(linkedAddr), size(aloneAddr)
	end := begin + hours*60*minute
	m.add(t, linkedAddr, at(end, click("new1", "linked", "a0", 1, 1)))
	m.add(t, aloneAddr, at(end, click("new2", "alone", "a1", 1, 1)))
	m.run(t)
	buy(end+minute, "o2", "alone", "")
	// The user buys in a shop: the visitor's new click reaches them by the link of 230 days ago.
	buy(end+2*minute, "o3", "", "u")
	return sink.all, linked, alone
}

func TestSweepingStateChangesNoRowAndKeepsLinks(t *testing.T) {
	want, linkedBefore, aloneBefore := longAgo(t, 1)
	got, linked, alone := longAgo(t, 1000)
	if len(want) != len(got) {
		t.Errorf("%d rows, want %d", len(got), len(want))
	}
	for i := range min(len(want), len(got)) {
		if want[i] != got[i] {
			t.Fatalf("row %d:\nwant %s\n got %s", i, want[i], got[i])
		}
	}
	if aloneBefore == 0 || alone != 0 {
		t.Errorf("state of a visitor long gone: %d bytes unswept, %d swept", aloneBefore, alone)
	}
	if linked == 0 || linked >= linkedBefore {
		t.Errorf("state of a linked visitor long gone: %d bytes unswept, %d swept", linkedBefore, linked)
	}
	reached := slices.ContainsFunc(got, func(row string) bool {
		return strings.HasPrefix(row, "journey o:purchase//o3 u:u ") && strings.Contains(row, " new1 ")
	})
	if !reached {
		t.Error("the visitor's click did not reach the user by a link that is older than the horizon")
	}
}
