package e2e

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
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
	"github.com/aftertouch-io/aftertouch/internal/grpccodec"
)

// The benchmarks drive one server with everything in it, from a client on the same machine: the figures are of both.
const (
	benchBatch   = 500
	benchStreams = 4
	// benchInFlight is the number of unanswered batches of a stream.
	benchInFlight = 8
	pixelClients  = 64
)

// batches makes requests of different people, once: the generator is not what is measured.
func batches(n int) [][]*aftertouchv1.Event {
	made := make([][]*aftertouchv1.Event, n)
	for i := range made {
		made[i] = make([]*aftertouchv1.Event, benchBatch)
		for j := range made[i] {
			made[i][j] = &aftertouchv1.Event{
				VisitorId: fmt.Sprintf("visitor-%06d", i*benchBatch+j), Placement: "ana-post",
				Kind: &aftertouchv1.Event_Impression{Impression: &aftertouchv1.Impression{
					Viewability: aftertouchv1.Impression_viewable, VisibleMs: 1500,
				}},
			}
		}
	}
	return made
}

func benchClient(b *testing.B, s *server) (aftertouchv1.CollectorServiceClient, context.Context) {
	b.Helper()
	conn, err := grpc.NewClient(s.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpccodec.DialOption())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close() })
	return aftertouchv1.NewCollectorServiceClient(conn), metadata.AppendToOutgoingContext(b.Context(), "authorization", "Bearer "+adminKey)
}

func taken(b *testing.B, results []*aftertouchv1.CollectResult) {
	for _, r := range results {
		if r.Status != aftertouchv1.CollectResult_ok {
			b.Errorf("event %s: %s %s", r.EventId, r.Status, r.Reason)
			return
		}
	}
}

func reportRate(b *testing.B, events int64, unit string) {
	b.ReportMetric(float64(events)/b.Elapsed().Seconds(), unit)
	b.ReportMetric(0, "ns/op")
}

// BenchmarkCollectStream measures events acknowledged by the brokers over a few bidirectional streams. One op is one batch.
func BenchmarkCollectStream(b *testing.B) {
	s := start(b, b.TempDir())
	agree(b, s)
	client, ctx := benchClient(b, s)
	work := batches(64)
	var next, done atomic.Int64
	var streams sync.WaitGroup
	b.ResetTimer()
	for range benchStreams {
		streams.Go(func() {
			stream, err := client.CollectStream(ctx)
			if err != nil {
				b.Error(err)
				return
			}
			flight := make(chan struct{}, benchInFlight)
			go func() {
				defer func() { _ = stream.CloseSend() }()
				for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
					flight <- struct{}{}
					if stream.Send(&aftertouchv1.CollectStreamRequest{Events: work[int(n)%len(work)]}) != nil {
						return
					}
				}
			}()
			for {
				answer, err := stream.Recv()
				if err != nil {
					return
				}
				taken(b, answer.Results)
				done.Add(int64(len(answer.Results)))
				<-flight
			}
		})
	}
	streams.Wait()
	b.StopTimer()
	if done.Load() != int64(b.N)*benchBatch {
		b.Errorf("%d of %d events acknowledged", done.Load(), b.N*benchBatch)
	}
	reportRate(b, done.Load(), "events/s")
}

// BenchmarkCollect measures events acknowledged over unary batches of concurrent callers. One op is one batch.
func BenchmarkCollect(b *testing.B) {
	s := start(b, b.TempDir())
	agree(b, s)
	client, ctx := benchClient(b, s)
	work := batches(64)
	var next, done atomic.Int64
	var callers sync.WaitGroup
	b.ResetTimer()
	for range benchStreams * benchInFlight {
		callers.Go(func() {
			for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
				answer, err := client.Collect(ctx, &aftertouchv1.CollectRequest{Events: work[int(n)%len(work)]})
				if err != nil {
					b.Error(err)
					return
				}
				taken(b, answer.Results)
				done.Add(int64(len(answer.Results)))
			}
		})
	}
	callers.Wait()
	b.StopTimer()
	reportRate(b, done.Load(), "events/s")
}

// BenchmarkPixel measures the tracking pixel with connections kept alive; an answer says that the event is durable.
func BenchmarkPixel(b *testing.B) {
	s := start(b, b.TempDir())
	agree(b, s)
	var next atomic.Int64
	latencies := make([][]time.Duration, pixelClients)
	var clients sync.WaitGroup
	b.ResetTimer()
	for c := range pixelClients {
		clients.Go(func() { latencies[c] = loadPixels(b, s, c, &next) })
	}
	clients.Wait()
	b.StopTimer()
	all := slices.Sorted(slices.Values(slices.Concat(latencies...)))
	if len(all) == 0 {
		b.Fatal("no pixel was answered")
	}
	b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1000, "p99-ms")
	reportRate(b, int64(len(all)), "pixels/s")
}

// loadPixels is a lean HTTP client, so that the server gets most of the machine.
func loadPixels(b *testing.B, s *server, client int, next *atomic.Int64) []time.Duration {
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.http, "http://"))
	if err != nil {
		b.Error(err)
		return nil
	}
	defer conn.Close()
	in, request := bufio.NewReader(conn), make([]byte, 0, 512)
	var took []time.Duration
	for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
		request = append(request[:0], "GET /v1/pixel.gif?key="...)
		request = append(request, webKey...)
		request = append(request, "&placement=ana-post&viewability=viewable&visible_ms=1500&visitor_id=visitor-"...)
		request = strconv.AppendInt(request, n%100_000, 10)
		request = append(request, " HTTP/1.1\r\nHost: aftertouch\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0.0.0 Safari/537.36\r\n\r\n"...)
		began := time.Now()
		if _, err := conn.Write(request); err != nil {
			b.Error(err)
			return took
		}
		if err := readPixel(in); err != nil {
			b.Errorf("client %d: %v", client, err)
			return took
		}
		took = append(took, time.Since(began))
	}
	return took
}

// readPixel reads one answer and checks that its event was taken.
func readPixel(in *bufio.Reader) error {
	length, ok := 0, false
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		text := strings.TrimSpace(string(line))
		if text == "" {
			break
		}
		name, value, _ := strings.Cut(text, ": ")
		switch name {
		case "Content-Length":
			if length, err = strconv.Atoi(value); err != nil {
				return err
			}
		case "Aftertouch-Status":
			ok = value == "ok"
		}
	}
	if !ok {
		return fmt.Errorf("the pixel's event was not taken")
	}
	_, err := in.Discard(length)
	return err
}

// BenchmarkFreshness measures the time from acknowledgement to being visible in the report performance, on an idle server.
// One op is one conversion.
func BenchmarkFreshness(b *testing.B) {
	s := start(b, b.TempDir())
	agree(b, s)
	var took []time.Duration
	n := 0
	for b.Loop() {
		n++
		s.call(b, http.MethodPost, "/v1/events", map[string]any{"events": []any{map[string]any{
			"visitor_id": "v" + strconv.Itoa(n), "conversion": map[string]any{
				"action": "purchase", "order_id": strconv.Itoa(n), "value_minor": 100, "currency": "EUR",
			},
		}}}, nil, http.StatusOK)
		acknowledged := time.Now()
		for {
			var report struct {
				Totals map[string]struct {
					Total struct{ Conversions string }
				}
			}
			s.call(b, http.MethodGet, "/v1/reports/performance?"+url.Values{"action": {"purchase"}}.Encode(), nil, &report, http.StatusOK)
			if report.Totals["EUR"].Total.Conversions == fmt.Sprintf("%d.000000000", n) {
				break
			}
			if time.Since(acknowledged) > reportTimeout {
				b.Fatalf("conversion %d is not visible after %s", n, reportTimeout)
			}
		}
		took = append(took, time.Since(acknowledged))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}
