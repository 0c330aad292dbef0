package broker_test

import (
	"context"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
)

const benchValue = 250 // bytes, about an event's size

func BenchmarkProduce(b *testing.B) {
	ctx, br := context.Background(), start(b, b.TempDir())
	create(ctx, b, br, "events", 4)
	w := &kafka.Writer{Addr: kafka.TCP(br.Addrs()...), Topic: "events", RequiredAcks: kafka.RequireAll, BatchSize: 2000, BatchBytes: 1 << 20, BatchTimeout: 2 * time.Millisecond}
	defer w.Close()
	msgs := make([]kafka.Message, 8000)
	for i := range msgs {
		msgs[i] = kafka.Message{Key: []byte("workspace/v:1"), Value: make([]byte, benchValue)}
	}
	b.ReportAllocs()
	for b.Loop() {
		must(b, w.WriteMessages(ctx, msgs...))
	}
	b.ReportMetric(float64(len(msgs)*b.N)/b.Elapsed().Seconds(), "records/s")
}

func BenchmarkProduceOneAndWait(b *testing.B) {
	ctx, br := context.Background(), start(b, b.TempDir())
	create(ctx, b, br, "events", 1)
	w := &kafka.Writer{Addr: kafka.TCP(br.Addrs()...), Topic: "events", RequiredAcks: kafka.RequireAll, BatchSize: 1}
	defer w.Close()
	for b.Loop() {
		must(b, w.WriteMessages(ctx, kafka.Message{Value: make([]byte, benchValue)}))
	}
}

func BenchmarkConsume(b *testing.B) {
	const records = 200_000
	ctx, br := context.Background(), start(b, b.TempDir())
	create(ctx, b, br, "events", 1)
	w := &kafka.Writer{Addr: kafka.TCP(br.Addrs()...), Topic: "events", RequiredAcks: kafka.RequireAll, BatchSize: 2000, BatchBytes: 1 << 20, BatchTimeout: 2 * time.Millisecond}
	defer w.Close()
	msgs := make([]kafka.Message, records)
	for i := range msgs {
		msgs[i] = kafka.Message{Key: []byte("workspace/v:1"), Value: make([]byte, benchValue)}
	}
	must(b, w.WriteMessages(ctx, msgs...))
	b.ReportAllocs()
	for b.Loop() {
		r := kafka.NewReader(kafka.ReaderConfig{Brokers: br.Addrs(), Topic: "events", Partition: 0, MaxBytes: 10 << 20, MaxWait: 100 * time.Millisecond})
		for range records {
			_, err := r.ReadMessage(ctx)
			must(b, err)
		}
		must(b, r.Close())
	}
	b.ReportMetric(float64(records*b.N)/b.Elapsed().Seconds(), "records/s")
}
