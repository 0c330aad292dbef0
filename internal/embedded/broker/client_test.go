package broker_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/aftertouch-io/aftertouch/internal/embedded/broker"
)

func TestTopicSettingsAreKept(t *testing.T) {
	ctx, dir := within(t), t.TempDir()
	b := start(t, dir)
	create(ctx, t, b, "events", 3, kafka.ConfigEntry{ConfigName: "retention.ms", ConfigValue: "604800000"},
		kafka.ConfigEntry{ConfigName: "cleanup.policy", ConfigValue: "delete"}, kafka.ConfigEntry{ConfigName: "message.timestamp.type", ConfigValue: "CreateTime"})
	must(t, b.Close())
	b = start(t, dir)
	resp, err := client(b).DescribeConfigs(ctx, &kafka.DescribeConfigsRequest{Resources: []kafka.DescribeConfigRequestResource{
		{ResourceType: kafka.ResourceTypeTopic, ResourceName: "events", ConfigNames: []string{"retention.ms", "cleanup.policy", "message.timestamp.type"}},
	}})
	must(t, err)
	got := map[string]string{}
	for _, r := range resp.Resources {
		must(t, r.Error)
		for _, e := range r.ConfigEntries {
			got[e.ConfigName] = e.ConfigValue
		}
	}
	if got["retention.ms"] != "604800000" || got["cleanup.policy"] != "delete" || got["message.timestamp.type"] != "CreateTime" {
		t.Errorf("settings after a restart: %v", got)
	}
	meta, err := client(b).Metadata(ctx, &kafka.MetadataRequest{Topics: []string{"events"}})
	must(t, err)
	if len(meta.Topics) != 1 || len(meta.Topics[0].Partitions) != 3 || len(meta.Brokers) != 1 {
		t.Errorf("metadata: %+v", meta)
	}
}

func TestATopicIsCreatedOnceAndOnlyOnRequest(t *testing.T) {
	ctx := within(t)
	b := start(t, t.TempDir())
	create(ctx, t, b, "events", 1)
	resp, err := client(b).CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{{Topic: "events", NumPartitions: 1, ReplicationFactor: 1}}})
	must(t, err)
	if !errors.Is(resp.Errors["events"], kafka.TopicAlreadyExists) {
		t.Errorf("creating again: %v", resp.Errors["events"])
	}
	w := &kafka.Writer{Addr: kafka.TCP(b.Addrs()...), Topic: "unknown", AllowAutoTopicCreation: true, RequiredAcks: kafka.RequireAll, MaxAttempts: 2, BatchSize: 1}
	defer w.Close()
	if err := w.WriteMessages(ctx, kafka.Message{Value: []byte("x")}); !errors.Is(err, kafka.UnknownTopicOrPartition) {
		t.Errorf("writing to an unknown topic: %v", err)
	}
	meta, err := client(b).Metadata(ctx, &kafka.MetadataRequest{})
	must(t, err)
	if len(meta.Topics) != 1 {
		t.Errorf("%d topics, want 1", len(meta.Topics))
	}
}

func TestARecordReturnsAsItWasSent(t *testing.T) {
	ctx := within(t)
	b := start(t, t.TempDir())
	create(ctx, t, b, "events", 1)
	at := time.UnixMilli(1_700_000_000_123)
	for _, codec := range []kafka.Compression{0, kafka.Gzip, kafka.Snappy, kafka.Lz4, kafka.Zstd} {
		w := &kafka.Writer{Addr: kafka.TCP(b.Addrs()...), Topic: "events", RequiredAcks: kafka.RequireAll, BatchSize: 1, Compression: codec}
		must(t, w.WriteMessages(ctx, kafka.Message{Key: []byte("k"), Value: []byte("v"), Time: at, Headers: []kafka.Header{{Key: "epoch", Value: []byte{0, 1}}}}))
		must(t, w.Close())
	}
	r := kafka.NewReader(kafka.ReaderConfig{Brokers: b.Addrs(), Topic: "events", Partition: 0, MaxWait: 50 * time.Millisecond})
	defer r.Close()
	for i := range 5 {
		m, err := r.ReadMessage(ctx)
		must(t, err)
		if m.Offset != int64(i) || string(m.Key) != "k" || string(m.Value) != "v" || !m.Time.Equal(at) || len(m.Headers) != 1 || m.Headers[0].Key != "epoch" {
			t.Errorf("record %d: %+v", i, m)
		}
	}
}

func TestOffsetsAreFoundByTime(t *testing.T) {
	ctx := within(t)
	b := start(t, t.TempDir())
	create(ctx, t, b, "events", 1)
	w := &kafka.Writer{Addr: kafka.TCP(b.Addrs()...), Topic: "events", RequiredAcks: kafka.RequireAll, BatchSize: 1}
	defer w.Close()
	base := time.UnixMilli(1_700_000_000_000)
	for i := range 10 {
		must(t, w.WriteMessages(ctx, kafka.Message{Value: []byte("v"), Time: base.Add(time.Duration(i) * time.Second)}))
	}
	resp, err := client(b).ListOffsets(ctx, &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{
		"events": {kafka.FirstOffsetOf(0), kafka.LastOffsetOf(0), kafka.TimeOffsetOf(0, base.Add(4500*time.Millisecond))},
	}})
	must(t, err)
	p := resp.Topics["events"][0]
	must(t, p.Error)
	if p.FirstOffset != 0 || p.LastOffset != 10 || len(p.Offsets) != 1 {
		t.Fatalf("offsets: %+v", p)
	}
	for offset := range p.Offsets {
		if offset != 5 {
			t.Errorf("the first record from 4.5 s on is %d, want 5", offset)
		}
	}
}

func TestARecordOverTheLimitIsRefused(t *testing.T) {
	ctx := within(t)
	b := start(t, t.TempDir())
	create(ctx, t, b, "events", 1)
	resp, err := client(b).Produce(ctx, &kafka.ProduceRequest{
		Topic: "events", RequiredAcks: kafka.RequireAll,
		Records: kafka.NewRecordReader(kafka.Record{Value: kafka.NewBytes(make([]byte, 2<<20))}),
	})
	if err == nil {
		err = resp.Error
	}
	if !errors.Is(err, kafka.MessageSizeTooLarge) {
		t.Errorf("a record of 2 MiB: %v", err)
	}
	produce(ctx, t, b, 1)
}

// member is one consumer of a group, through kafka-go's low level group.
type member struct {
	group *kafka.ConsumerGroup
	id    string
}

func join(t *testing.T, b *broker.Broker, id string) *member {
	t.Helper()
	g, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
		ID: "attributor", Brokers: b.Addrs(), Topics: []string{"events"},
		HeartbeatInterval: 100 * time.Millisecond, SessionTimeout: 3 * time.Second, RebalanceTimeout: 3 * time.Second, JoinGroupBackoff: 100 * time.Millisecond,
	})
	must(t, err)
	t.Cleanup(func() { g.Close() })
	return &member{group: g, id: id}
}

// next waits for the member's next generation and keeps it alive until the generation ends.
func (m *member) next(ctx context.Context, t *testing.T) *kafka.Generation {
	t.Helper()
	g, err := m.group.Next(ctx)
	if err != nil {
		t.Fatalf("%s: %v", m.id, err)
	}
	g.Start(func(ctx context.Context) { <-ctx.Done() })
	return g
}

// commit commits through the client, as the attributor does, and returns the partition's own error.
func commit(ctx context.Context, t *testing.T, b *broker.Broker, generation int, member string, offset int64) error {
	t.Helper()
	resp, err := client(b).OffsetCommit(ctx, &kafka.OffsetCommitRequest{
		GroupID: "attributor", GenerationID: generation, MemberID: member,
		Topics: map[string][]kafka.OffsetCommit{"events": {{Partition: 0, Offset: offset}}},
	})
	if err != nil {
		return err
	}
	if len(resp.Topics["events"]) != 1 {
		t.Fatalf("answer to a commit: %+v", resp)
	}
	return resp.Topics["events"][0].Error
}

// committed returns the group's offset, -1 when it has none. A group that never existed is an error here (69); Kafka answers -1.
func committed(ctx context.Context, t *testing.T, b *broker.Broker) int64 {
	t.Helper()
	resp, err := client(b).OffsetFetch(ctx, &kafka.OffsetFetchRequest{GroupID: "attributor", Topics: map[string][]int{"events": {0}}})
	must(t, err)
	if errors.Is(resp.Error, kafka.GroupIdNotFound) {
		return -1
	}
	must(t, resp.Error)
	must(t, resp.Topics["events"][0].Error)
	return resp.Topics["events"][0].CommittedOffset
}

func TestAGroupSharesPartitionsAndFencesOldGenerations(t *testing.T) {
	ctx, dir := within(t), t.TempDir()
	b := start(t, dir)
	create(ctx, t, b, "events", 4)
	if o := committed(ctx, t, b); o != -1 {
		t.Errorf("committed before any commit: %d, want -1", o)
	}
	first := join(t, b, "first")
	alone := first.next(ctx, t)
	if n := len(alone.Assignments["events"]); n != 4 {
		t.Fatalf("alone: %d partitions", n)
	}
	must(t, commit(ctx, t, b, int(alone.ID), alone.MemberID, 10))
	if err := commit(ctx, t, b, int(alone.ID)+1, alone.MemberID, 11); !errors.Is(err, kafka.IllegalGeneration) {
		t.Errorf("a commit of a generation to come: %v", err)
	}
	if err := commit(ctx, t, b, int(alone.ID), "somebody", 12); !errors.Is(err, kafka.UnknownMemberId) {
		t.Errorf("a commit of an unknown member: %v", err)
	}

	second := join(t, b, "second")
	joined := make(chan *kafka.Generation, 1)
	go func() { joined <- second.next(ctx, t) }()
	shared := first.next(ctx, t)
	other := <-joined
	if len(shared.Assignments["events"]) != 2 || len(other.Assignments["events"]) != 2 {
		t.Errorf("two members have %v and %v", shared.Assignments, other.Assignments)
	}
	if err := commit(ctx, t, b, int(alone.ID), alone.MemberID, 13); !errors.Is(err, kafka.IllegalGeneration) && !errors.Is(err, kafka.UnknownMemberId) {
		t.Errorf("a commit of the old generation: %v", err)
	}
	must(t, commit(ctx, t, b, int(shared.ID), shared.MemberID, 20))

	must(t, second.group.Close()) // leaves: the first gets everything back
	if again := first.next(ctx, t); len(again.Assignments["events"]) != 4 {
		t.Errorf("after the other left: %v", again.Assignments)
	}
	must(t, first.group.Close())
	if err := commit(ctx, t, b, int(shared.ID), shared.MemberID, 30); err == nil {
		t.Error("a commit of a member that left was taken")
	}
	if o := committed(ctx, t, start(t, crashed(t, dir))); o != 20 {
		t.Errorf("after a crash the committed offset is %d, want 20", o)
	}
}

// A member that stops answering loses its partitions when its session ends.
func TestASilentMemberIsReplaced(t *testing.T) {
	ctx := within(t)
	b := start(t, t.TempDir())
	create(ctx, t, b, "events", 2)
	c := client(b)
	resp, err := c.JoinGroup(ctx, &kafka.JoinGroupRequest{
		GroupID: "attributor", SessionTimeout: 2 * time.Second, RebalanceTimeout: 2 * time.Second,
		ProtocolType: "consumer", Protocols: []kafka.GroupProtocol{{Name: "range", Metadata: kafka.GroupProtocolSubscription{Topics: []string{"events"}}}},
	})
	must(t, err)
	if errors.Is(resp.Error, kafka.MemberIDRequired) {
		resp, err = c.JoinGroup(ctx, &kafka.JoinGroupRequest{
			GroupID: "attributor", MemberID: resp.MemberID, SessionTimeout: 2 * time.Second, RebalanceTimeout: 2 * time.Second,
			ProtocolType: "consumer", Protocols: []kafka.GroupProtocol{{Name: "range", Metadata: kafka.GroupProtocolSubscription{Topics: []string{"events"}}}},
		})
		must(t, err)
	}
	must(t, resp.Error)
	started := time.Now()
	g := join(t, b, "next").next(ctx, t)
	if len(g.Assignments["events"]) != 2 {
		t.Errorf("assigned %v", g.Assignments)
	}
	if took := time.Since(started); took > 15*time.Second {
		t.Errorf("the replacement took %s", took)
	}
}

// The group's consumers find their way after the broker has been restarted.
func TestAGroupGoesOnAfterARestart(t *testing.T) {
	ctx, dir := within(t), t.TempDir()
	b := start(t, dir)
	addr := b.Addrs()[0]
	create(ctx, t, b, "events", 2)
	m := join(t, b, "only")
	m.next(ctx, t)
	must(t, b.Close())
	b, err := broker.Open(broker.Config{Dir: dir, Addr: addr}, discard)
	must(t, err)
	defer b.Close()
	for {
		g, err := m.group.Next(ctx)
		if ctx.Err() != nil {
			t.Fatal("no generation after the restart")
		}
		if err != nil {
			continue // the member is told of each failed attempt
		}
		g.Start(func(ctx context.Context) { <-ctx.Done() })
		if len(g.Assignments["events"]) != 2 {
			t.Errorf("assigned %v", g.Assignments)
		}
		must(t, commit(ctx, t, b, int(g.ID), g.MemberID, 3))
		return
	}
}

func TestManyProducersAndConsumersAtOnce(t *testing.T) {
	const producers, records = 8, 2000
	ctx := within(t)
	b := start(t, t.TempDir())
	create(ctx, t, b, "events", 4)
	failed := make(chan error, producers)
	for p := range producers {
		go func() {
			w := &kafka.Writer{Addr: kafka.TCP(b.Addrs()...), Topic: "events", RequiredAcks: kafka.RequireAll, BatchTimeout: 2 * time.Millisecond, Balancer: kafka.Murmur2Balancer{}}
			defer w.Close()
			for i := 0; i < records; i += 100 {
				msgs := make([]kafka.Message, 100)
				for j := range msgs {
					msgs[j] = kafka.Message{Key: []byte(fmt.Sprint(p)), Value: []byte(fmt.Sprintf("%d-%d", p, i+j))}
				}
				if err := w.WriteMessages(ctx, msgs...); err != nil {
					failed <- err
					return
				}
			}
			failed <- nil
		}()
	}
	for range producers {
		must(t, <-failed)
	}
	seen := map[string]bool{}
	for p := range 4 {
		next := map[string]int{} // a producer's records of one key are in order
		for _, v := range read(ctx, t, b, "events", p) {
			var producer string
			var i int
			_, err := fmt.Sscanf(v, "%1s-%d", &producer, &i)
			must(t, err)
			if i != next[producer] {
				t.Fatalf("partition %d: record %s after %d", p, v, next[producer]-1)
			}
			next[producer]++
			seen[v] = true
		}
	}
	if len(seen) != producers*records {
		t.Errorf("%d records, want %d", len(seen), producers*records)
	}
}
