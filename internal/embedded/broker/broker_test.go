package broker_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/aftertouch-io/aftertouch/internal/embedded/broker"
)

var discard = slog.New(slog.DiscardHandler)

func start(t testing.TB, dir string) *broker.Broker {
	t.Helper()
	b, err := broker.Open(broker.Config{Dir: dir}, discard)
	must(t, err)
	t.Cleanup(func() { b.Close() })
	return b
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// within returns a context that ends with the test, or after a minute.
func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// client has connections of its own: a broker that starts again on its address finds none of the old ones.
func client(b *broker.Broker) *kafka.Client {
	return &kafka.Client{Addr: kafka.TCP(b.Addrs()...), Timeout: 10 * time.Second, Transport: &kafka.Transport{}}
}

func create(ctx context.Context, t testing.TB, b *broker.Broker, topic string, partitions int, configs ...kafka.ConfigEntry) {
	t.Helper()
	resp, err := client(b).CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{
		{Topic: topic, NumPartitions: partitions, ReplicationFactor: 1, ConfigEntries: configs},
	}})
	must(t, err)
	must(t, resp.Errors[topic])
}

// produce writes n records to topic events.
func produce(ctx context.Context, t testing.TB, b *broker.Broker, n int) {
	t.Helper()
	w := &kafka.Writer{Addr: kafka.TCP(b.Addrs()...), Topic: "events", RequiredAcks: kafka.RequireAll, BatchTimeout: 5 * time.Millisecond, Balancer: kafka.Murmur2Balancer{}}
	defer w.Close()
	var msgs []kafka.Message
	for i := range n {
		msgs = append(msgs, kafka.Message{Key: []byte(fmt.Sprint("key-", i)), Value: []byte(fmt.Sprint("value-", i))})
	}
	must(t, w.WriteMessages(ctx, msgs...))
}

// read returns the values of a partition from offset 0 to its end.
func read(ctx context.Context, t testing.TB, b *broker.Broker, topic string, partition int) []string {
	t.Helper()
	conn, err := kafka.DialLeader(ctx, "tcp", b.Addrs()[0], topic, partition)
	must(t, err)
	defer conn.Close()
	first, last, err := conn.ReadOffsets()
	must(t, err)
	r := kafka.NewReader(kafka.ReaderConfig{Brokers: b.Addrs(), Topic: topic, Partition: partition, MaxWait: 50 * time.Millisecond})
	defer r.Close()
	must(t, r.SetOffset(first))
	var values []string
	for range last - first {
		m, err := r.ReadMessage(ctx)
		must(t, err)
		values = append(values, string(m.Value))
	}
	return values
}

func TestRecordsSurviveARestart(t *testing.T) {
	ctx, dir := within(t), t.TempDir()
	b := start(t, dir)
	create(ctx, t, b, "events", 2, kafka.ConfigEntry{ConfigName: "retention.ms", ConfigValue: "-1"})
	produce(ctx, t, b, 100)
	must(t, b.Close())
	b = start(t, dir)
	if n := len(read(ctx, t, b, "events", 0)) + len(read(ctx, t, b, "events", 1)); n != 100 {
		t.Errorf("%d records after the restart, want 100", n)
	}
}

func TestADirectoryServesOneBroker(t *testing.T) {
	dir := t.TempDir()
	start(t, dir)
	if b, err := broker.Open(broker.Config{Dir: dir}, slog.New(slog.DiscardHandler)); err == nil {
		b.Close()
		t.Fatal("a second broker opened the same directory")
	}
}

func TestAnAddressBeyondLoopbackIsRefused(t *testing.T) {
	if _, err := broker.Open(broker.Config{Dir: t.TempDir(), Addr: "0.0.0.0:0"}, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("the broker listens beyond loopback")
	}
}

func TestAFixedAddressIsKept(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	addr := l.Addr().String()
	must(t, l.Close())
	b, err := broker.Open(broker.Config{Dir: t.TempDir(), Addr: addr}, discard)
	must(t, err)
	defer b.Close()
	if got := b.Addrs(); len(got) != 1 || got[0] != addr {
		t.Errorf("listening on %v, want %s", got, addr)
	}
}
