package collector

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/event"
	"github.com/aftertouch-io/aftertouch/internal/eventlog"
)

// discard is a log that acknowledges at once: what remains is the collector's own work.
type discard struct{}

func (discard) Append(context.Context, []eventlog.Record) error { return nil }

// mixedEvents are as backends send them: mostly touches with a link, some conversions.
func mixedEvents(b testing.TB, n int) (events []*aftertouchv1.Event, encodings [][]byte) {
	for i := range n {
		e := &aftertouchv1.Event{
			EventId: fmt.Sprintf("bench-event-%08d", i), EventTime: event.Time(now.UnixMilli() - int64(i)), VisitorId: fmt.Sprintf("visitor-%06d", i%5000),
			Link: "shop-anna", PageUrl: "https://shop.example/products/shoes",
		}
		switch i % 10 {
		case 0:
			e.Kind = &aftertouchv1.Event_Conversion{Conversion: &aftertouchv1.Conversion{Action: "purchase", OrderId: fmt.Sprintf("order-%d", i), ValueMinor: 4999, Currency: "EUR"}}
			e.Link = ""
		case 1, 2, 3:
			e.Kind = &aftertouchv1.Event_Click{Click: &aftertouchv1.Click{}}
		case 4, 5:
			e.Kind = &aftertouchv1.Event_Visit{Visit: &aftertouchv1.Visit{SessionStart: true}}
		default:
			e.Kind = &aftertouchv1.Event_Impression{Impression: &aftertouchv1.Impression{Viewability: aftertouchv1.Impression_viewable, VisibleMs: 1200}}
		}
		events = append(events, e)
		encodings = append(encodings, encoded(b, e))
	}
	return events, encodings
}

// cpuTime returns the processor time that the process has used: on a busy machine it says more than the clock on the wall.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func report(b *testing.B, began time.Duration, n int, unit string) {
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), unit+"s/s")
	b.ReportMetric(float64((cpuTime()-began).Nanoseconds())/float64(n), "cpu-ns/"+unit)
}

// BenchmarkBatch is the collector's own work on an event: decode, validate, stamp, address, encode.
func BenchmarkBatch(b *testing.B) {
	r := newRig(b)
	c := r.collector
	c.sink.appender = discard{}
	from, _, reason := c.authenticate(secretKey, "")
	if reason != "" {
		b.Fatal(reason)
	}
	_, encodings := mixedEvents(b, 1000)
	began := cpuTime()
	b.ReportAllocs()
	for b.Loop() {
		batch := c.newBatch(from, overGRPC)
		for _, raw := range encodings {
			batch.addProto(raw)
		}
		batch.commit(b.Context())
		batch.release()
	}
	report(b, began, b.N*len(encodings), "event")
}

// BenchmarkStream sends batches over real streams, through the log of the embedded broker, from one process.
func BenchmarkStream(b *testing.B) {
	for _, streams := range []int{1, 4} {
		b.Run(fmt.Sprintf("streams=%d", streams), func(b *testing.B) {
			r := newRig(b)
			events, _ := mixedEvents(b, 1000)
			client := aftertouchv1.NewCollectorServiceClient(r.grpc)
			var left atomic.Int64
			left.Store(int64(b.N))
			began := cpuTime()
			b.ResetTimer()
			var group sync.WaitGroup
			for range streams {
				group.Go(func() { runStream(b, client, events, &left) })
			}
			group.Wait()
			report(b, began, b.N*len(events), "event")
		})
	}
}

func runStream(b *testing.B, client aftertouchv1.CollectorServiceClient, events []*aftertouchv1.Event, left *atomic.Int64) {
	stream, err := client.CollectStream(withKey(b.Context(), secretKey))
	if err != nil {
		b.Error(err)
		return
	}
	go func() {
		in := &aftertouchv1.CollectStreamRequest{Events: events}
		for left.Add(-1) >= 0 {
			if err := stream.Send(in); err != nil {
				b.Error(err)
				return
			}
		}
		_ = stream.CloseSend()
	}()
	for {
		out, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			b.Error(err)
			return
		}
		for _, res := range out.Results {
			if res.Status != aftertouchv1.CollectResult_ok {
				b.Errorf("%v", res)
				return
			}
		}
	}
}

// BenchmarkPixel requests the image over kept-alive connections, through the log of the embedded broker. The client writes
// requests by hand, so that it takes little of the machine that both share.
func BenchmarkPixel(b *testing.B) {
	r := newRig(b)
	const connections = 256
	var left atomic.Int64
	left.Store(int64(b.N))
	durations := make([][]time.Duration, connections)
	began := cpuTime()
	b.ResetTimer()
	var group sync.WaitGroup
	for i := range connections {
		group.Go(func() { durations[i] = runPixels(b, r.http.Listener.Addr().String(), i, &left) })
	}
	group.Wait()
	report(b, began, b.N, "pixel")
	b.ReportMetric(float64(percentile(durations, 0.99))/1e6, "p99-ms")
}

func runPixels(b *testing.B, addr string, i int, left *atomic.Int64) (durations []time.Duration) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		b.Error(err)
		return nil
	}
	defer conn.Close()
	request := fmt.Appendf(nil, "GET /v1/pixel.gif?key=%s&placement=p-anna&visitor_id=bench-%d HTTP/1.1\r\nHost: go.example\r\nUser-Agent: %s\r\nReferer: https://blog.example/post\r\n\r\n", webKey, i, chrome)
	buf := make([]byte, 4096)
	for left.Add(-1) >= 0 {
		began := time.Now()
		if _, err := conn.Write(request); err != nil {
			b.Error(err)
			return nil
		}
		// The image is 43 bytes and comes in one piece with its header.
		n, err := conn.Read(buf)
		if err != nil || n < 100 || buf[9] != '2' {
			b.Errorf("%q, %v", buf[:n], err)
			return nil
		}
		durations = append(durations, time.Since(began))
	}
	return durations
}

func percentile(all [][]time.Duration, p float64) time.Duration {
	var flat []time.Duration
	for _, d := range all {
		flat = append(flat, d...)
	}
	if len(flat) == 0 {
		return 0
	}
	slices.Sort(flat)
	return flat[int(p*float64(len(flat)-1))]
}
