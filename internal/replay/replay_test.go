package replay

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
)

// collector is a collector that fails on purpose: it breaks its n-th stream after some batches, or takes no event.
type collector struct {
	aftertouchv1.UnimplementedCollectorServiceServer
	mu       sync.Mutex
	seen     map[string]int
	streams  int
	breakAt  int
	breaks   int
	unable   int
	terminal error
}

func (c *collector) CollectStream(stream aftertouchv1.CollectorService_CollectStreamServer) error {
	c.mu.Lock()
	c.streams++
	broken := c.streams <= c.breaks
	c.mu.Unlock()
	for n := 0; ; n++ {
		req, err := stream.Recv()
		if err != nil {
			return nil
		}
		if c.terminal != nil {
			return c.terminal
		}
		if broken && n == c.breakAt {
			return status.Error(codes.Unavailable, "broken on purpose")
		}
		if err := stream.Send(c.answer(req.Events)); err != nil {
			return err
		}
	}
}

func (c *collector) answer(events []*aftertouchv1.Event) *aftertouchv1.CollectStreamResponse {
	c.mu.Lock()
	defer c.mu.Unlock()
	answer := &aftertouchv1.CollectStreamResponse{}
	unable := c.unable > 0
	c.unable--
	for _, e := range events {
		result := &aftertouchv1.CollectResult{EventId: e.EventId, Status: aftertouchv1.CollectResult_ok}
		switch {
		case unable:
			result.Status = aftertouchv1.CollectResult_unavailable
		case e.Link == "nowhere":
			result.Status, result.Reason = aftertouchv1.CollectResult_refused, "unknown_link"
		default:
			c.seen[e.EventId]++
		}
		answer.Results = append(answer.Results, result)
	}
	return answer
}

// replayer returns a replayer of the lines against the collector.
func replayer(t *testing.T, c *collector, file string, change func(*Config)) *Replayer {
	t.Helper()
	c.seen = map[string]int{}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	aftertouchv1.RegisterCollectorServiceServer(server, c)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	cfg := Default()
	cfg.File, cfg.Batch, cfg.InFlight, cfg.Patience = file, 10, 4, 5*time.Second
	if change != nil {
		change(&cfg)
	}
	decode := func(line []byte, into *aftertouchv1.Event) error { return protojson.Unmarshal(line, into) }
	r, err := New(cfg, aftertouchv1.NewCollectorServiceClient(conn), decode, func(int64, int64) {}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func history(t *testing.T, lines ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "events.jsonl")
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func visits(n int) []string {
	lines := make([]string, n)
	for i := range lines {
		lines[i] = fmt.Sprintf(`{"event_id":"e%d","visitor_id":"v","visit":{}}`, i)
	}
	return lines
}

func TestEveryLineIsSentAndRefusedLinesAreListedWithTheirReasons(t *testing.T) {
	lines := visits(95)
	lines[7] = `{"event_id":"bad-link","link":"nowhere","visit":{}}`
	lines[20] = ""
	lines[40] = `{"event_id":`
	c := &collector{}
	r := replayer(t, c, history(t, lines...), nil)
	p, err := r.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if p.Accepted != 92 || len(c.seen) != 92 || p.NextLine != 96 {
		t.Errorf("progress is %+v, %d events arrived", p, len(c.seen))
	}
	if diff := cmp.Diff(map[string]int64{"unknown_link": 1, "malformed": 1}, p.Refused); diff != "" {
		t.Errorf("refused (-want +got):\n%s", diff)
	}
	list, err := os.ReadFile(RefusedPath(r.cfg.File))
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Split(strings.TrimSpace(string(list)), "\n")
	if len(got) != 2 || got[0] != `{"line":8,"event_id":"bad-link","reason":"unknown_link"}` || !strings.HasPrefix(got[1], `{"line":41,"reason":"malformed"`) {
		t.Errorf("list is %q", got)
	}
}

func TestABrokenStreamLosesNothing(t *testing.T) {
	for _, c := range []*collector{{breaks: 3, breakAt: 2}, {breaks: 1, breakAt: 0}, {unable: 2}} {
		r := replayer(t, c, history(t, visits(200)...), nil)
		p, err := r.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if p.Accepted != 200 || len(c.seen) != 200 {
			t.Errorf("accepted %d, arrived %d, of 200", p.Accepted, len(c.seen))
		}
	}
}

func TestAnInterruptedReplayGoesOnWhereItStopped(t *testing.T) {
	file := history(t, append([]string{`{"link":"nowhere","visit":{}}`}, visits(99)...)...)
	r := replayer(t, &collector{}, file, nil)
	ctx, cancel := context.WithCancel(t.Context())
	r.watch = func(int64, int64) { cancel() }
	p, err := r.Run(ctx)
	if err == nil || p.Offset == 0 || p.NextLine > 100 {
		t.Fatalf("the first replay was not interrupted: %+v, %v", p, err)
	}
	second := &collector{}
	q, err := replayer(t, second, file, nil).Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := 100 - int(p.NextLine-1); len(second.seen) != want {
		t.Errorf("the second replay sent %d lines, not %d", len(second.seen), want)
	}
	if q.Accepted != 99 || q.RefusedLines() != 1 {
		t.Errorf("both replays together: %+v", q)
	}
	list, err := os.ReadFile(RefusedPath(file))
	if err != nil || strings.Count(string(list), "\n") != 1 {
		t.Errorf("list is %q, %v", list, err)
	}
}

func TestAnotherFileIsNotResumed(t *testing.T) {
	file := history(t, visits(20)...)
	if _, err := replayer(t, &collector{}, file, nil).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(visits(3)[2]), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := replayer(t, &collector{}, file, nil).Run(t.Context()); err == nil {
		t.Error("a changed file was resumed")
	}
	c := &collector{}
	if _, err := replayer(t, c, file, func(c *Config) { c.Restart = true }).Run(t.Context()); err != nil || len(c.seen) != 1 {
		t.Errorf("restart sent %d lines, %v", len(c.seen), err)
	}
}

func TestLinesWithoutAnIDGetTheSameOneEachTime(t *testing.T) {
	file := history(t, `{"visit":{}}`, `{"visit":{}}`)
	one, two := &collector{}, &collector{}
	for _, c := range []*collector{one, two} {
		if _, err := replayer(t, c, file, func(c *Config) { c.Restart = true }).Run(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(one.seen, two.seen); diff != "" || len(one.seen) != 2 {
		t.Errorf("ids differ: %v\n%s", one.seen, diff)
	}
}

func TestARefusedKeyIsNotTriedAgain(t *testing.T) {
	c := &collector{terminal: status.Error(codes.Unauthenticated, "unknown_key")}
	_, err := replayer(t, c, history(t, visits(5)...), nil).Run(t.Context())
	if status.Code(err) != codes.Unauthenticated || c.streams != 1 {
		t.Errorf("%v after %d streams", err, c.streams)
	}
}
