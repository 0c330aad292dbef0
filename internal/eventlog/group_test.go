package eventlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const testEpochID = "abcdef0123456789"

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func testEpoch() EpochInfo {
	return EpochInfo{Number: 1, Topic: EventsTopic, Partitions: 4, ID: testEpochID}
}

func testWriter(t testing.TB, c *Client) *Writer {
	t.Helper()
	w, err := NewWriter(c, WriterConfig{Epoch: testEpoch()}, prometheus.NewRegistry(), quiet())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = w.Close(ctx)
	})
	return w
}

func groupConfig(t *testing.T) GroupConfig {
	return GroupConfig{
		GroupID: t.Name(), Epoch: testEpoch(),
		SessionTimeout: 6 * time.Second, HeartbeatInterval: 100 * time.Millisecond, RebalanceTimeout: 5 * time.Second, Backoff: 100 * time.Millisecond,
	}
}

// consumer counts what its handlers read and committed.
type consumer struct {
	mu      sync.Mutex
	seen    map[string]int // by partition/offset
	owned   map[int]int    // running handlers by partition
	starts  map[int][]int64
	stopped []error
	fail    func(a *Assignment) error
}

func newConsumer() *consumer {
	return &consumer{seen: map[string]int{}, owned: map[int]int{}, starts: map[int][]int64{}}
}

func (c *consumer) handle(ctx context.Context, a *Assignment) error {
	c.mu.Lock()
	c.starts[a.PartitionID()] = append(c.starts[a.PartitionID()], a.CommittedOffset())
	c.owned[a.PartitionID()]++
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		c.owned[a.PartitionID()]--
		c.mu.Unlock()
	}()
	if c.fail != nil {
		if err := c.fail(a); err != nil {
			return err
		}
	}
	at := max(a.CommittedOffset(), 0)
	for ctx.Err() == nil {
		msgs, err := a.Read(ctx, at, ReadLimits{MaxWait: 100 * time.Millisecond})
		if err != nil {
			return err
		}
		if len(msgs) == 0 {
			continue
		}
		at = msgs[len(msgs)-1].Offset + 1
		if err := a.CommitOffset(context.WithoutCancel(ctx), at); err != nil {
			return err
		}
		c.mu.Lock()
		for _, m := range msgs {
			c.seen[fmt.Sprintf("%d/%d", m.Partition, m.Offset)]++
		}
		c.mu.Unlock()
	}
	return nil
}

func (c *consumer) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.seen)
}

func (c *consumer) running() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range c.owned {
		n += k
	}
	return n
}

// runMember starts a member and returns the function that stops it and waits.
func runMember(t *testing.T, cl *Client, cfg GroupConfig, h Handler) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- RunGroup(ctx, cl, cfg, quiet(), h) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			select {
			case err := <-done:
				if err != nil {
					t.Errorf("member ended with %v", err)
				}
			case <-time.After(20 * time.Second):
				t.Error("member did not stop")
			}
		})
	}
	t.Cleanup(stop)
	return stop
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("timed out: %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func appendKeys(t *testing.T, w *Writer, from, to int) {
	t.Helper()
	var recs []Record
	for i := from; i < to; i++ {
		recs = append(recs, Record{Key: fmt.Appendf(nil, "shop/v:%d", i), Value: fmt.Appendf(nil, "value %d", i)})
	}
	if err := w.Append(t.Context(), recs); err != nil {
		t.Fatal(err)
	}
}

func TestMemberContinuesAtItsCommittedOffsets(t *testing.T) {
	cl := testKafka(t)
	w := testWriter(t, cl)
	appendKeys(t, w, 0, 100)
	first := newConsumer()
	stop := runMember(t, cl, groupConfig(t), first.handle)
	eventually(t, "first run reads all", func() bool { return first.count() == 100 })
	stop()
	appendKeys(t, w, 100, 150)
	second := newConsumer()
	runMember(t, cl, groupConfig(t), second.handle)
	eventually(t, "second run reads the rest", func() bool { return second.count() == 50 })
	for k := range second.seen {
		if first.seen[k] != 0 {
			t.Errorf("%s was read again although it was committed", k)
		}
	}
	for p, starts := range first.starts {
		if starts[0] != -1 {
			t.Errorf("partition %d: committed offset %d before any commit, want -1", p, starts[0])
		}
	}
}

func TestTwoMembersShareThePartitions(t *testing.T) {
	cl := testKafka(t)
	w := testWriter(t, cl)
	a, b := newConsumer(), newConsumer()
	runMember(t, cl, groupConfig(t), a.handle)
	eventually(t, "first member has all", func() bool { return a.running() == 4 })
	stopB := runMember(t, cl, groupConfig(t), b.handle)
	eventually(t, "both have two", func() bool { return a.running() == 2 && b.running() == 2 })
	appendKeys(t, w, 0, 200)
	eventually(t, "all is read", func() bool { return a.count()+b.count() == 200 })
	stopB()
	eventually(t, "first member has all again", func() bool { return a.running() == 4 })
	appendKeys(t, w, 200, 300)
	eventually(t, "all is read", func() bool { return a.count()+b.count() == 300 })
}

func TestCommitOfAnOldGenerationIsFenced(t *testing.T) {
	cl := testKafka(t)
	w := testWriter(t, cl)
	appendKeys(t, w, 0, 100)
	old := make(chan *Assignment, 4)
	stop := runMember(t, cl, groupConfig(t), func(ctx context.Context, a *Assignment) error {
		if err := a.CommitOffset(ctx, 1); err != nil {
			t.Errorf("commit inside the generation: %v", err)
		}
		old <- a
		<-ctx.Done()
		return nil
	})
	paused := <-old
	for range 3 {
		<-old
	}
	stop()
	b := newConsumer()
	runMember(t, cl, groupConfig(t), b.handle)
	eventually(t, "successor reads", func() bool { return b.count() >= 96 })
	err := paused.CommitOffset(t.Context(), 1)
	if !errors.Is(err, ErrFenced) {
		t.Fatalf("commit of an old generation: %v, want ErrFenced", err)
	}
}

func TestFailingHandlerStartsAllPartitionsAgain(t *testing.T) {
	cl := testKafka(t)
	w := testWriter(t, cl)
	appendKeys(t, w, 0, 100)
	c := newConsumer()
	var once sync.Once
	c.fail = func(*Assignment) (err error) {
		once.Do(func() { err = errors.New("insert failed") })
		return err
	}
	runMember(t, cl, groupConfig(t), c.handle)
	eventually(t, "all is read in a later generation", func() bool { return c.count() == 100 })
}

func TestRecordOfAnotherEpochStopsItsPartitionOnly(t *testing.T) {
	cl := testKafka(t)
	w := testWriter(t, cl)
	appendKeys(t, w, 0, 100)
	other := testEpoch()
	other.ID = "another"
	foreign, err := NewWriter(cl, WriterConfig{Epoch: other}, prometheus.NewRegistry(), quiet())
	if err != nil {
		t.Fatal(err)
	}
	key := []byte("shop/v:foreign")
	if err := foreign.Append(t.Context(), []Record{{Key: key, Value: []byte("x")}}); err != nil {
		t.Fatal(err)
	}
	c := newConsumer()
	cfg := groupConfig(t)
	cfg.Stopped = func(p int, err error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.stopped = append(c.stopped, err)
		if p != foreign.Partition(key) {
			t.Errorf("partition %d stopped, want %d", p, foreign.Partition(key))
		}
	}
	runMember(t, cl, cfg, c.handle)
	eventually(t, "one stops", func() bool { c.mu.Lock(); defer c.mu.Unlock(); return len(c.stopped) == 1 })
	if !errors.Is(c.stopped[0], ErrEpoch) {
		t.Errorf("stopped with %v, want ErrEpoch", c.stopped[0])
	}
	before := c.count()
	for i := 1000; c.count() == before; i++ {
		if k := fmt.Appendf(nil, "shop/v:%d", i); w.Partition(k) != foreign.Partition(key) {
			if err := w.Append(t.Context(), []Record{{Key: k, Value: []byte("y")}}); err != nil {
				t.Fatal(err)
			}
			eventually(t, "another partition goes on", func() bool { return c.count() > before })
		}
	}
}
