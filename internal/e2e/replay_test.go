package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	historySeed   = 20260301
	historyPeople = 6000
	historyLines  = 100_000
)

// TestReplayedHistoryGivesTheSameJourneysInAnyOrder replays one history of stamped events, shuffled and over different
// numbers of partitions: what was concluded of each conversion is the same.
func TestReplayedHistoryGivesTheSameJourneysInAnyOrder(t *testing.T) {
	if testing.Short() {
		t.Skip("replays a large history several times")
	}
	// Nothing may have been received in the future.
	lines := history(time.Now().UTC().Add(-2 * time.Hour).Truncate(time.Hour))
	if len(lines) < historyLines {
		t.Fatalf("the history has %d lines", len(lines))
	}
	want := replayed(t, lines, 1, 2)
	if len(want) < 5000 {
		t.Fatalf("the history makes %d journeys", len(want))
	}
	for _, run := range []struct {
		shuffle    uint64
		partitions int
	}{{1, 5}, {2, 2}, {3, 5}} {
		t.Run(fmt.Sprintf("shuffle %d over %d partitions", run.shuffle, run.partitions), func(t *testing.T) {
			got := replayed(t, lines, run.shuffle, run.partitions)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("journeys differ (-first +this):\n%s", diff[:min(len(diff), 4000)])
			}
		})
	}
}

// replayed replays the shuffled lines into a new server and returns its journeys without what depends on the order:
// versions, causes and positions; and without hashes, whose keys are the installation's: a person is named by their first
// order instead.
func replayed(t *testing.T, lines []string, shuffle uint64, partitions int) []string {
	t.Helper()
	dir := t.TempDir()
	s := start(t, filepath.Join(dir, "data"), fmt.Sprintf("--partitions=%d", partitions))
	agree(t, s)
	file := filepath.Join(dir, "history.jsonl")
	write(t, file, lines, shuffle)
	replay := exec.CommandContext(t.Context(), binary, "replay", "--file", file, "--grpc-addr", s.grpc, "--key", adminKey)
	if out, err := replay.CombinedOutput(); err != nil {
		t.Fatalf("replay: %v\n%s", err, tail(string(out), 4000))
	}
	s.settled(t)
	if status := s.terminate(t); status != 0 {
		t.Fatalf("SIGTERM: exit status %d", status)
	}
	return query(t, filepath.Join(dir, "data"), `SELECT toString(tuple(* EXCEPT (version, cause, order_hash, person_hash,
		person, user_key, "touches.entity_hash", order_epoch, order_partition, order_offset, epoch, partition, cause_offset),
		min("order") OVER (PARTITION BY person)))
		FROM journeys FINAL ORDER BY "order"`)
}

func write(t *testing.T, file string, lines []string, shuffle uint64) {
	t.Helper()
	shuffled := append([]string(nil), lines...)
	rand.New(rand.NewPCG(historySeed, shuffle)).Shuffle(len(shuffled), func(i, j int) {
		shuffled[i], shuffled[j] = shuffled[j], shuffled[i]
	})
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(f)
	for _, line := range shuffled {
		fmt.Fprintln(w, line)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// historian makes stamped events.
type historian struct {
	rng   *rand.Rand
	now   time.Time
	lines []string
}

// history makes people who see, visit, log in and buy during the day before now; some events are sent twice, some come
// late, some orders are reported by browser and server.
func history(now time.Time) []string {
	h := &historian{rng: rand.New(rand.NewPCG(historySeed, 0)), now: now}
	for person := 0; person < historyPeople || len(h.lines) < historyLines; person++ {
		h.person(person)
	}
	return h.lines
}

func (h *historian) person(n int) {
	visitor := fmt.Sprintf("v%d", n)
	second, user := visitor, ""
	if h.rng.IntN(3) == 0 {
		user, second = fmt.Sprintf("u%d", n/2), fmt.Sprintf("w%d", n)
		h.event(map[string]any{"visitor_id": visitor, "user_key": user, "identify": map[string]any{}}, h.when())
	}
	for range 3 + h.rng.IntN(22) {
		h.touch([]string{visitor, second}[h.rng.IntN(2)])
	}
	for k := range h.rng.IntN(3) {
		h.order(fmt.Sprintf("%d-%d", n, k), second, user)
	}
}

func (h *historian) touch(visitor string) {
	e := map[string]any{"visitor_id": visitor, "placement": "ana-post"}
	switch h.rng.IntN(4) {
	case 0:
		e["visit"] = map[string]any{}
	case 1:
		e["click"] = map[string]any{}
	case 2:
		e["engagement"] = map[string]any{"type": "like"}
	default:
		e["impression"] = map[string]any{"viewability": "viewable", "visible_ms": 1200}
	}
	h.event(e, h.when())
}

// order is reported by the server, sometimes by the browser too, which may not know the user.
func (h *historian) order(id, visitor, user string) {
	at := h.when()
	conversion := map[string]any{"action": "purchase", "order_id": id, "value_minor": 100 + h.rng.IntN(9000), "currency": "EUR"}
	server := map[string]any{"conversion": conversion, "user_key": user}
	if user == "" || h.rng.IntN(2) == 0 {
		server["visitor_id"] = visitor
	}
	h.event(server, at)
	if h.rng.IntN(2) == 0 {
		h.event(map[string]any{"visitor_id": visitor, "conversion": conversion}, at.Add(time.Duration(h.rng.IntN(5000))*time.Millisecond))
	}
}

func (h *historian) when() time.Time {
	return h.now.Add(-time.Duration(1+h.rng.IntN(24*3600)) * time.Second)
}

// event adds a line with its stamps, and sometimes the same event received again.
func (h *historian) event(e map[string]any, at time.Time) {
	e["event_id"] = fmt.Sprintf("h%d", len(h.lines))
	e["event_time"] = at.Format(time.RFC3339Nano)
	for copies := 1 + h.rng.IntN(12)/11; copies > 0; copies-- {
		e["stamps"] = map[string]any{
			"received_time": at.Add(time.Duration(h.rng.IntN(3_000_000)) * time.Millisecond).Format(time.RFC3339Nano),
			"source":        []string{"browser", "server"}[h.rng.IntN(2)],
		}
		line, err := json.Marshal(e)
		if err != nil {
			panic(err)
		}
		h.lines = append(h.lines, strings.TrimSpace(string(line)))
	}
}
