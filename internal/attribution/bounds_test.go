package attribution

import (
	"fmt"
	"slices"
	"testing"
	"time"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/event"
)

// rig applies records one after another to one partition and keeps what came of each.
type rig struct {
	t     *testing.T
	store *memStore
	core  *Partition
	next  int64
	out   Effects
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, store: newMemStore()}
	r.restart()
	return r
}

func (r *rig) restart() {
	r.t.Helper()
	core, err := NewPartition(r.store, simTerms(), Default())
	if err != nil {
		r.t.Fatal(err)
	}
	r.core = core
}

func (r *rig) commit() {
	r.t.Helper()
	if err := r.core.Commit(r.store); err != nil {
		r.t.Fatal(err)
	}
}

// line applies a line of a script and all messages that follow from it, and returns the effects.
func (r *rig) line(timestamp int64, line string) *Effects {
	r.t.Helper()
	r.out.Reset()
	for _, e := range scriptEvents(r.t, line, int(r.next)) {
		value, err := event.EncodeEvent(e.event)
		if err != nil {
			r.t.Fatal(err)
		}
		r.record(e.to, value, timestamp)
	}
	for i := 0; i < len(r.out.Messages); i++ {
		r.record(r.out.Messages[i].To, r.out.Messages[i].Value, timestamp)
	}
	return &r.out
}

func (r *rig) record(to event.Address, value []byte, timestamp int64) {
	r.t.Helper()
	var rec event.Record
	if err := event.Decode([]byte(to.Key()), value, &rec); err != nil {
		r.t.Fatal(err)
	}
	rec.Position, rec.Timestamp = event.Position{Epoch: 1, Offset: r.next}, timestamp
	r.next++
	if err := r.core.Apply(&rec, &r.out); err != nil {
		r.t.Fatal(err)
	}
}

func TestOfADayTheFirstFiftyConversionsTakePart(t *testing.T) {
	r := newRig(t)
	r.line(scriptNow, "click v1 -1h id=c link=L")
	var status []string
	// Backwards, so that each displaces one once there are 51.
	for i := 51; i >= 0; i-- {
		for _, j := range r.line(scriptNow, fmt.Sprintf("purchase v1 +%dm order=%d", i, i)).Journeys {
			status = append(status, fmt.Sprint(j.Conversion.OrderId, " ", j.Status, " ", j.Reason, " ", j.Cause))
		}
	}
	want := []string{"51 unattributed cut order_merge", "50 unattributed cut order_merge"}
	for _, w := range want {
		if !slices.Contains(status, w) {
			t.Errorf("no %q in %q", w, status)
		}
	}
	if len(status) != 52+len(want) {
		t.Errorf("%d journeys, want %d", len(status), 52+len(want))
	}
	// The order gets an earlier record the day before: a place becomes free.
	journeys := r.line(scriptNow, "purchase v1 -1m order=0").Journeys
	if len(journeys) != 2 || journeys[0].Conversion.OrderId != "0" || journeys[1].Conversion.OrderId != "50" ||
		journeys[1].Status != Attributed || journeys[0].PreviousTime != scriptNow {
		t.Errorf("%d journeys: %+v", len(journeys), journeys)
	}
}

func TestModelsRunOverTheNewestFiveHundred(t *testing.T) {
	r := newRig(t)
	r.line(scriptNow, "visit v1 -19d id=t link=L repeat=510/30m")
	r.line(scriptNow, "engagement v1 -15d id=e placement=P terms=none repeat=520/1m")
	j := r.line(scriptNow, "purchase v1 0 order=1 value=100001").Journeys[0]
	eligible, others, credit, value := 0, 0, uint32(0), int64(0)
	for _, touch := range j.Touches {
		if !touch.Eligible {
			others++
			continue
		}
		eligible++
		credit += touch.Credit[Linear]
		value += touch.ValueMinor[TimeDecay]
	}
	if eligible != 500 || others != 500 || j.Omitted[ReasonOver500] != 10 || j.Omitted[ReasonNoAgreement] != 20 {
		t.Errorf("%d eligible, %d others, omitted %v", eligible, others, j.Omitted)
	}
	if credit != CreditUnit || value != 100001 {
		t.Errorf("credit %d, value %d", credit, value)
	}
	if first := j.Touches[slices.IndexFunc(j.Touches, func(t JourneyTouch) bool { return t.Eligible })]; first.Touch.EventId != "t10" {
		t.Errorf("the oldest eligible touch is %s, want t10", first.Touch.EventId)
	}
}

func TestMessagesAreBounded(t *testing.T) {
	r := newRig(t)
	r.line(scriptNow, "engagement v1 -19d id=t link=L repeat=9000/3m")
	out := r.line(scriptNow, "purchase v1 0 order=1 user=u1")
	touches := 0
	var last *aftertouchv1.Message
	for _, m := range out.Messages {
		if len(m.Value) > maxMessageBytes {
			t.Errorf("message of %d bytes", len(m.Value))
		}
		var rec event.Record
		if err := event.Decode([]byte(m.To.Key()), m.Value, &rec); err != nil {
			t.Fatal(err)
		}
		if m.To.Kind == event.User {
			touches += len(rec.Message.GetTouches().GetTouches())
			last = rec.Message
		}
	}
	if touches != 9000 {
		t.Errorf("%d touches were forwarded, want 9000", touches)
	}
	if last.GetOwned() == nil {
		t.Error("the conversion is not the last")
	}
	if len(out.Journeys) != 1 || out.Journeys[0].Status != Attributed {
		t.Error("the journey was first shown without its touches")
	}
}

func TestStateExpiresByThePartitionsClock(t *testing.T) {
	r := newRig(t)
	r.line(scriptNow, "click v1 -1h id=c link=L")
	r.line(scriptNow, "identify v1 0 id=i user=u1")
	// One record a month ahead does not move the clock by a month.
	r.line(scriptNow+400*day, "click other 0 id=x link=L")
	if f := r.line(scriptNow, "click v1 -1h id=c link=L").Facts[0]; f.Duplicates != 1 {
		t.Fatal("one wrong timestamp made state expire")
	}
	for i := range (horizonDays + 2) * 24 {
		r.line(scriptNow+400*day, fmt.Sprintf("click other 0 id=x%d link=L", i))
		if i%500 == 0 {
			r.commit()
			r.restart()
		}
	}
	r.commit()
	if f := r.line(scriptNow+400*day, "click v1 -1h id=c link=L").Facts[0]; f.Duplicates != 0 {
		t.Error("the touch outlived the horizon")
	}
	if v := r.core.cache.get(event.VisitorAddress("shop", "v1")).(*person); len(v.own) != 1 || len(v.links) != 1 {
		t.Errorf("%d touches and %d links are left, want the new touch and the link", len(v.own), len(v.links))
	}
}

func TestJourneysSayWhatChangedThem(t *testing.T) {
	r := newRig(t)
	for _, c := range []struct{ line, cause string }{
		{"click v1 -3h id=c link=L", ""},
		{"purchase v1 0 order=1 id=p", CauseNew},
		{"click v1 -2h id=d link=L", CauseLateTouch},
		{"click v1 -2h id=d link=L", ""},                  // A copy changes nothing.
		{"impression v1 +1h id=e placement=P", ""},        // Nor does what came after.
		{"click v1 -150d id=f link=L received=-150d", ""}, // Nor what is older than any window.
		{"click v1 -2h id=d link=M received=-119m", ""},   // Received later, so not the event.
		{"click v1 -3h id=d link=M received=-150m", CauseDuplicate},
		{"purchase v1 +1s order=1 id=q value=10", CauseOrderMerge},
		{"purchase v1 +1s order=1 id=q value=9 received=+500ms", CauseDuplicate},
		{"purchase - +2s order=1 id=r user=u1 source=server", CauseOrderMerge},
		{"visit v2 -1h id=g link=M", ""},
		{"identify v2 0 user=u1", CauseIdentity},
		{"visit v2 -30m id=h link=N", CauseLateTouch},
	} {
		var got []string
		for _, j := range r.line(scriptNow, c.line).Journeys {
			got = append(got, j.Cause)
		}
		if c.cause == "" && len(got) != 0 || c.cause != "" && !slices.Equal(got, []string{c.cause}) {
			t.Errorf("%s: %q, want %q", c.line, got, c.cause)
		}
	}
}

func TestAnImpressionOfAnOrdinaryPersonWritesAFewBytes(t *testing.T) {
	r := newRig(t)
	r.line(scriptNow, "impression v1 -1h id=0198c0de-7000-7000-8000-000000000001 placement=P")
	r.commit()
	key := event.VisitorAddress("shop", "v1").Key()
	before := len(r.store.states[key])
	r.line(scriptNow, "impression v1 0 id=0198c0de-7000-7000-8000-000000000002 placement=P")
	r.commit()
	if n := len(r.store.states[key]) - before; n > ownBytes {
		t.Errorf("an impression takes %d bytes of state, want at most %d", n, ownBytes)
	}
}

func TestRefusalsBecomeRows(t *testing.T) {
	r := newRig(t)
	value, err := event.EncodeRefusals(&aftertouchv1.Refusals{RunId: "run", Hour: scriptNow, Counts: []*aftertouchv1.RefusalCount{
		{Transport: "http", Reason: "malformed", Count: 3, KeyId: "k"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	r.record(event.RefusalAddress("shop", "run"), value, scriptNow)
	want := RefusalRow{
		Workspace: "shop", RunID: "run", Hour: scriptNow, Transport: "http", Reason: "malformed", KeyID: "k", Count: 3,
		Cause: event.Position{Epoch: 1},
	}
	if len(r.out.Refusals) != 1 || r.out.Refusals[0] != want {
		t.Errorf("refusals %+v", r.out.Refusals)
	}
}

// A page that gives every conversion the same order id must not make each cost more than the last.
func TestOneOrderIDForEverythingStaysCheap(t *testing.T) {
	r := newRig(t)
	start := time.Now()
	messages := 0
	for i := range 20_000 {
		out := r.line(scriptNow, fmt.Sprintf("purchase v%d 0 order=1 user=u%d id=p%d value=%d", i, i, i, i))
		messages += len(out.Messages)
		if i%2000 == 0 {
			r.commit()
		}
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("20,000 conversions with one order id took %s", took)
	}
	if messages > 70_000 {
		t.Errorf("%d messages for 20,000 records of one order", messages)
	}
}

// A person may send any number of touches in an hour; what one more costs must not grow with them.
func TestAFloodOfOnePersonStaysCheap(t *testing.T) {
	for _, line := range []string{
		"click v1 -59m id=t link=L repeat=20000/100ms",
		"impression v1 -59m id=t placement=P repeat=20000/100ms",
		"visit v1 -59m id=t placement=P terms=none repeat=20000/100ms",
	} {
		r := newRig(t)
		start := time.Now()
		r.line(scriptNow, line)
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("%s took %s", line, took)
		}
	}
}
