package e2e

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
)

const (
	kills       = 20
	killSenders = 4
	killSeed    = 20260401
	// killBatch is the number of events sent together.
	killBatch = 40
)

// ledger knows what was sent and what was acknowledged, by kind and event id.
type ledger struct {
	mu          sync.Mutex
	sent, acked map[string]map[string]bool
}

func newLedger() *ledger {
	return &ledger{sent: map[string]map[string]bool{}, acked: map[string]map[string]bool{}}
}

func note(m map[string]map[string]bool, e *aftertouchv1.Event) {
	kind := "touch"
	if e.GetConversion() != nil {
		kind = "conversion"
	}
	if m[kind] == nil {
		m[kind] = map[string]bool{}
	}
	m[kind][e.EventId] = true
}

// TestKillsLoseNothingAndCountNothingTwice kills the process again and again while it is written to. Whatever was
// acknowledged is counted, whatever is counted was sent, and each once: in facts, in journeys and in the reports.
func TestKillsLoseNothingAndCountNothingTwice(t *testing.T) {
	if testing.Short() {
		t.Skip("starts the server more than 20 times")
	}
	dir, book := t.TempDir(), newLedger()
	rng := rand.New(rand.NewPCG(killSeed, 1))
	s := start(t, dir)
	agree(t, s)
	var target atomic.Pointer[server]
	target.Store(s)
	ctx, stop := context.WithCancel(t.Context())
	var senders sync.WaitGroup
	for n := range killSenders {
		senders.Go(func() { sendUntil(ctx, &target, book, n) })
	}
	for range kills {
		time.Sleep(time.Duration(100+rng.IntN(900)) * time.Millisecond)
		if err := s.command.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-s.exited
		s = start(t, dir)
		target.Store(s)
	}
	time.Sleep(500 * time.Millisecond)
	stop()
	senders.Wait()

	total := s.settled(t)
	if status := s.terminate(t); status != 0 {
		t.Fatalf("SIGTERM after the kills: exit status %d", status)
	}
	book.check(t, "conversion facts", "conversion", query(t, dir, `SELECT event_id FROM facts FINAL WHERE kind = 'conversion'`))
	book.check(t, "journeys", "conversion", query(t, dir, `SELECT replaceOne(order_id, 'order-', 'buy-') FROM journeys FINAL`))
	touches := query(t, dir, `SELECT event_id FROM facts FINAL WHERE kind IN ('impression', 'visit')`)
	book.check(t, "touch facts", "touch", touches)
	if journeys := len(query(t, dir, `SELECT order_id FROM journeys FINAL`)); total != journeys {
		t.Errorf("the report counts %d conversions, the journeys are %d", total, journeys)
	}
	t.Logf("%d kills: %d of %d touches and %d of %d conversions acknowledged", kills,
		len(book.acked["touch"]), len(book.sent["touch"]), len(book.acked["conversion"]), len(book.sent["conversion"]))
	if len(book.acked["touch"]) == 0 || len(book.acked["conversion"]) == 0 {
		t.Error("nothing was acknowledged: the test proves nothing")
	}
}

// check compares what is counted with what was sent and acknowledged.
func (b *ledger) check(t *testing.T, what, kind string, counted []string) {
	t.Helper()
	times := map[string]int{}
	for _, id := range counted {
		times[id]++
	}
	for _, id := range slices.Sorted(maps.Keys(times)) {
		if times[id] > 1 {
			t.Errorf("%s: %s is counted %d times", what, id, times[id])
		}
		if !b.sent[kind][id] {
			t.Errorf("%s: %s was never sent", what, id)
		}
	}
	lost := 0
	for _, id := range slices.Sorted(maps.Keys(b.acked[kind])) {
		if times[id] == 0 {
			if lost++; lost <= 5 {
				t.Errorf("%s: %s was acknowledged and is lost", what, id)
			}
		}
	}
	if lost > 0 {
		t.Errorf("%s: %d of %d acknowledged events are lost", what, lost, len(b.acked[kind]))
	}
}

// sendUntil sends batches, each until it is acknowledged or the context ends, to whichever server runs.
func sendUntil(ctx context.Context, target *atomic.Pointer[server], book *ledger, sender int) {
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+adminKey)
	rng := rand.New(rand.NewPCG(killSeed, uint64(100+sender)))
	for n := 0; ctx.Err() == nil; n++ {
		events := make([]*aftertouchv1.Event, killBatch)
		for i := range events {
			events[i] = randomEvent(rng, fmt.Sprintf("%d-%d-%d", sender, n, i))
		}
		for len(events) > 0 && ctx.Err() == nil {
			events = book.try(ctx, target.Load(), events)
		}
	}
}

func randomEvent(rng *rand.Rand, id string) *aftertouchv1.Event {
	e := &aftertouchv1.Event{VisitorId: "person-" + strconv.Itoa(rng.IntN(500))}
	switch draw := rng.IntN(10); {
	case draw == 0:
		e.EventId = "buy-" + id
		e.Kind = &aftertouchv1.Event_Conversion{Conversion: &aftertouchv1.Conversion{
			Action: "purchase", OrderId: "order-" + id, ValueMinor: 1000, Currency: "EUR",
		}}
	case draw < 4:
		e.EventId, e.Link = "visit-"+id, "ana1"
		e.Kind = &aftertouchv1.Event_Visit{Visit: &aftertouchv1.Visit{}}
	default:
		e.EventId, e.Placement = "seen-"+id, "ana-post"
		e.Kind = &aftertouchv1.Event_Impression{Impression: &aftertouchv1.Impression{}}
	}
	return e
}

// try sends the events once and returns those that are to be sent again.
func (b *ledger) try(ctx context.Context, s *server, events []*aftertouchv1.Event) []*aftertouchv1.Event {
	b.mu.Lock()
	for _, e := range events {
		note(b.sent, e)
	}
	b.mu.Unlock()
	conn, err := grpc.NewClient(s.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return events
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	answer, err := aftertouchv1.NewCollectorServiceClient(conn).Collect(ctx, &aftertouchv1.CollectRequest{Events: events})
	if err != nil {
		time.Sleep(10 * time.Millisecond)
		return events
	}
	var again []*aftertouchv1.Event
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, result := range answer.Results {
		if result.Status == aftertouchv1.CollectResult_ok {
			note(b.acked, events[i])
		} else {
			again = append(again, events[i])
		}
	}
	return again
}

// settled waits until everything in the log has been applied and returns the conversions that the report counts.
func (s *server) settled(t *testing.T) int {
	t.Helper()
	deadline, last, same := time.Now().Add(reportTimeout), "", 0
	for {
		var report struct {
			Totals map[string]struct {
				Total struct{ Conversions string }
			}
			DataVersion struct{ Offsets map[string]string } `json:"data_version"`
		}
		s.call(t, http.MethodGet, "/v1/reports/performance?action=purchase", nil, &report, http.StatusOK)
		total := report.Totals["EUR"].Total.Conversions
		if now := fmt.Sprint(total, report.DataVersion.Offsets); now == last && total != "" {
			same++
		} else {
			last, same = now, 0
		}
		if same == 15 {
			whole, fraction, _ := strings.Cut(total, ".")
			n, err := strconv.Atoi(whole)
			if err != nil || strings.Trim(fraction, "0") != "" {
				t.Fatalf("%s conversions in total", total)
			}
			return n
		}
		if time.Now().After(deadline) {
			t.Fatalf("the report has not settled: %s", last)
		}
		time.Sleep(200 * time.Millisecond)
	}
}
