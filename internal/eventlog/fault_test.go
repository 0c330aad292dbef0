package eventlog

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/aftertouch-io/aftertouch/internal/embedded/broker"
)

// faultyKafka returns a broker whose answers can be replaced, and a writer to it with short timeouts.
func faultyKafka(t *testing.T, cfg WriterConfig) (*kfake.Cluster, *Client, *Writer) {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	cl, err := NewClient(ClientConfig{Brokers: c.ListenAddrs(), MetadataTTL: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	if err := EnsureTopics(t.Context(), cl, TopicSettings{Partitions: 4}); err != nil {
		t.Fatal(err)
	}
	cfg.Epoch = testEpoch()
	w, err := NewWriter(cl, cfg, prometheus.NewRegistry(), quiet())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		_ = w.Close(ctx)
	})
	return c, cl, w
}

// produceError makes the next n produce requests fail with the error, without being applied.
func produceError(c *kfake.Cluster, n int32, e *kerr.Error) {
	var left atomic.Int32
	left.Store(n)
	c.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		if left.Add(-1) < 0 {
			return nil, nil, false
		}
		r := req.(*kmsg.ProduceRequest)
		res := r.ResponseKind().(*kmsg.ProduceResponse)
		for _, t := range r.Topics {
			rt := kmsg.NewProduceResponseTopic()
			rt.Topic = t.Topic
			for _, p := range t.Partitions {
				rp := kmsg.NewProduceResponseTopicPartition()
				rp.Partition, rp.ErrorCode = p.Partition, e.Code
				rt.Partitions = append(rt.Partitions, rp)
			}
			res.Topics = append(res.Topics, rt)
		}
		return res, nil, true
	})
}

func TestPassingErrorsAreTriedAgain(t *testing.T) {
	for _, e := range []*kerr.Error{kerr.NotLeaderForPartition, kerr.NotEnoughReplicas, kerr.RequestTimedOut, kerr.UnknownTopicOrPartition} {
		c, cl, w := faultyKafka(t, WriterConfig{})
		produceError(c, 3, e)
		first := time.Now()
		if err := w.Append(t.Context(), []Record{{Key: []byte("k"), Value: []byte("v")}}); err != nil {
			t.Errorf("%s: %v", e.Message, err)
		}
		all := readEvents(t, cl)
		if len(all) != 1 {
			t.Fatalf("%s: %d records, want 1", e.Message, len(all))
		}
		// The timestamp is that of the first attempt (D8); the fourth began 350 ms later.
		if late := all[0].Time.Sub(first); late > 200*time.Millisecond {
			t.Errorf("%s: timestamp is %s after the first send", e.Message, late)
		}
		if got := testutil.ToFloat64(w.metrics.attemptsFailed); got != 3 {
			t.Errorf("%s: %v failed attempts counted, want 3", e.Message, got)
		}
	}
}

func TestFinalErrorsReachTheCallerAtOnce(t *testing.T) {
	c, _, w := faultyKafka(t, WriterConfig{})
	produceError(c, 1, kerr.TopicAuthorizationFailed)
	start := time.Now()
	if err := w.Append(t.Context(), []Record{{Key: []byte("k"), Value: []byte("v")}}); err == nil || time.Since(start) > 2*time.Second {
		t.Errorf("got %v after %s", err, time.Since(start))
	}
	if got := testutil.ToFloat64(w.metrics.failed); got != 1 {
		t.Errorf("%v failed records counted, want 1", got)
	}
	if err := w.Append(t.Context(), []Record{{Key: []byte("k"), Value: []byte("v")}}); err != nil {
		t.Errorf("the next call fails too: %v", err)
	}
}

func TestDeliveryTimeoutGivesUp(t *testing.T) {
	c, _, w := faultyKafka(t, WriterConfig{DeliveryTimeout: 300 * time.Millisecond})
	produceError(c, 1000, kerr.NotEnoughReplicas)
	start := time.Now()
	err := w.Append(t.Context(), []Record{{Key: []byte("k"), Value: []byte("v")}})
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 5*time.Second {
		t.Errorf("got %v after %s", err, time.Since(start))
	}
}

func TestFullWriterBlocksUntilTheCallerGivesUp(t *testing.T) {
	c, _, w := faultyKafka(t, WriterConfig{MaxBatchBytes: 1024, MaxBufferedBytes: 2048})
	produceError(c, 1000, kerr.NotEnoughReplicas)
	var err error
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	for i := 0; err == nil && i < 100; i++ {
		_, err = w.Enqueue(ctx, []Record{{Key: []byte("k"), Value: make([]byte, 500)}})
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want a deadline", err)
	}
	if got := testutil.ToFloat64(w.metrics.blocked); got != 1 {
		t.Errorf("%v blocked calls counted, want 1", got)
	}
}

func TestWriterOutlivesARestartOfTheBroker(t *testing.T) {
	dir := t.TempDir()
	b, err := broker.Open(broker.Config{Dir: dir}, quiet())
	if err != nil {
		t.Fatal(err)
	}
	addr := b.Addrs()[0]
	cl, err := NewClient(ClientConfig{Brokers: []string{addr}, MetadataTTL: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	if err := EnsureTopics(t.Context(), cl, TopicSettings{Partitions: 4}); err != nil {
		t.Fatal(err)
	}
	w := testWriter(t, cl)
	appendKeys(t, w, 0, 50)
	b.Close()
	done := make(chan error, 1)
	go func() {
		done <- w.Append(context.Background(), []Record{{Key: []byte("k"), Value: []byte("while down")}})
	}()
	time.Sleep(300 * time.Millisecond)
	if b, err = broker.Open(broker.Config{Dir: dir, Addr: addr}, quiet()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the record was not delivered after the restart")
	}
	if n := len(readEvents(t, cl)); n != 51 {
		t.Errorf("%d records, want 51", n)
	}
}

func TestMemberOutlivesARestartOfTheBroker(t *testing.T) {
	dir := t.TempDir()
	b, err := broker.Open(broker.Config{Dir: dir}, quiet())
	if err != nil {
		t.Fatal(err)
	}
	addr := b.Addrs()[0]
	cl, err := NewClient(ClientConfig{Brokers: []string{addr}, MetadataTTL: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	if err := EnsureTopics(t.Context(), cl, TopicSettings{Partitions: 4}); err != nil {
		t.Fatal(err)
	}
	w := testWriter(t, cl)
	c := newConsumer()
	runMember(t, cl, groupConfig(t), c.handle)
	appendKeys(t, w, 0, 50)
	eventually(t, "all is read", func() bool { return c.count() == 50 })
	b.Close()
	time.Sleep(200 * time.Millisecond)
	if b, err = broker.Open(broker.Config{Dir: dir, Addr: addr}, quiet()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	appendKeys(t, w, 50, 80)
	eventually(t, "the rest is read after the restart", func() bool { return c.count() == 80 })
}

func TestUnreachableBrokersAreAnError(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := lis.Addr().String()
	_ = lis.Close()
	cl, err := NewClient(ClientConfig{Brokers: []string{addr}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := EnsureTopics(ctx, cl, TopicSettings{Partitions: 1}); err == nil {
		t.Error("no error")
	}
}

func TestTopicsThatDifferAreRefused(t *testing.T) {
	_, cl, _ := faultyKafka(t, WriterConfig{}) // 4 partitions, events kept for ever
	if err := EnsureTopics(t.Context(), cl, TopicSettings{Partitions: 4}); err != nil {
		t.Errorf("same settings: %v", err)
	}
	for _, tc := range []struct {
		name, setting, remedy string
		s                     TopicSettings
	}{
		{"partitions", "4 partitions, expected 8", "--partitions=4", TopicSettings{Partitions: 8}},
		{"retention", "retention.ms=-1, expected 604800000", "kafka-configs.sh", TopicSettings{Partitions: 4, EventsRetention: 7 * 24 * time.Hour}},
		{"in-sync replicas", "min.insync.replicas=1, expected 2", "kafka-configs.sh", TopicSettings{Partitions: 4, MinInSyncReplicas: 2}},
	} {
		err := EnsureTopics(t.Context(), cl, tc.s)
		if !errors.Is(err, ErrTopicDiffers) {
			t.Errorf("%s: %v, want ErrTopicDiffers", tc.name, err)
			continue
		}
		for _, part := range []string{EventsTopic, tc.setting, tc.remedy} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %q is missing in: %v", tc.name, part, err)
			}
		}
	}
	for _, bad := range []TopicSettings{{}, {Partitions: 5000}, {Partitions: 1, EventsRetention: time.Minute}, {Partitions: 1, ReplicationFactor: 1, MinInSyncReplicas: 2}} {
		if err := EnsureTopics(t.Context(), cl, bad); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
	if EpochTopic(1) != "aftertouch.events.v1" || EpochTopic(2) != "aftertouch.events.v1.2" {
		t.Error("names of epochs' topics")
	}
}
