package eventlog

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/segmentio/kafka-go"
	"golang.org/x/sync/errgroup"
)

const (
	benchCallers = 32
	benchCall    = 500
	benchValue   = 150
)

var benchCodecs = []kafka.Compression{NoCompression, kafka.Lz4, kafka.Snappy, kafka.Zstd}

// benchRecords are like encoded events: a third is random (ids), the rest repeats.
func benchRecords(seed uint64) []Record {
	rnd := rand.New(rand.NewPCG(seed, 1))
	recs := make([]Record, benchCall)
	for i := range recs {
		v := fmt.Appendf(nil, "%016x%016x%016x", rnd.Uint64(), rnd.Uint64(), rnd.Uint64())
		v = append(v, "https://shop.example/landing?utm_source=creator agreement-1 campaign-1 creator-17 desktop DE referrer https://blog.example/"...)
		recs[i] = Record{Key: fmt.Appendf(nil, "shop/v:%016x", rnd.Uint64()), Value: v[:benchValue]}
	}
	return recs
}

func fill(ctx context.Context, w *Writer, calls int) error {
	var g errgroup.Group
	for c := range benchCallers {
		g.Go(func() error {
			recs := benchRecords(uint64(c))
			for range calls {
				if err := w.Append(ctx, recs); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// BenchmarkAppend measures records acknowledged per second, of 150 bytes, from 32 concurrent callers with 500 records a call,
// broker and fsync included.
func BenchmarkAppend(b *testing.B) {
	for _, codec := range benchCodecs {
		b.Run(fmt.Sprint("codec=", codec), func(b *testing.B) {
			w, err := NewWriter(testKafka(b), WriterConfig{Epoch: testEpoch(), Compression: codec}, prometheus.NewRegistry(), quiet())
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := fill(b.Context(), w, 4); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N*benchCallers*4*benchCall)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

// BenchmarkAppendSingle measures calls of one record from 256 concurrent callers.
func BenchmarkAppendSingle(b *testing.B) {
	w := testWriter(b, testKafka(b))
	recs := benchRecords(1)
	b.ReportAllocs()
	for b.Loop() {
		var g errgroup.Group
		for c := range 256 {
			g.Go(func() error {
				for i := range 100 {
					if err := w.Append(b.Context(), recs[(c+i)%benchCall:][:1]); err != nil {
						return err
					}
				}
				return nil
			})
		}
		if err := g.Wait(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N*256*100)/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkRead measures records read and decoded per second from four partitions at once.
func BenchmarkRead(b *testing.B) {
	for _, codec := range benchCodecs {
		b.Run(fmt.Sprint("codec=", codec), func(b *testing.B) {
			cl := testKafka(b)
			w, err := NewWriter(cl, WriterConfig{Epoch: testEpoch(), Compression: codec}, prometheus.NewRegistry(), quiet())
			if err != nil {
				b.Fatal(err)
			}
			if err := fill(b.Context(), w, 40); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				var g errgroup.Group
				for p := range 4 {
					g.Go(func() error { return readAllOf(b.Context(), cl.Partition(EventsTopic, p, testEpochID)) })
				}
				if err := g.Wait(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N*benchCallers*40*benchCall)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

func readAllOf(ctx context.Context, p *Partition) error {
	at, end, err := p.Range(ctx)
	for err == nil && at < end {
		var msgs []kafka.Message
		if msgs, err = p.Read(ctx, at, ReadLimits{}); len(msgs) > 0 {
			at = msgs[len(msgs)-1].Offset + 1
		}
	}
	return err
}
