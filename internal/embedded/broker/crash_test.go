package broker_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/aftertouch-io/aftertouch/internal/embedded/broker"
)

// envDir makes a process of this test binary produce into the broker of that directory until it is killed.
const envDir = "AFTERTOUCH_BROKER_TEST_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(envDir); dir != "" {
		fmt.Fprintln(os.Stderr, produceUntilKilled(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

const killPartitions = 3

// produceUntilKilled prints "ack PARTITION OFFSET VALUE" for what the broker acknowledged.
func produceUntilKilled(dir string) error {
	b, err := broker.Open(broker.Config{Dir: dir}, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	ctx, c := context.Background(), &kafka.Client{Addr: kafka.TCP(b.Addrs()...)}
	resp, err := c.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{{Topic: "acked", NumPartitions: killPartitions, ReplicationFactor: 1}}})
	if err != nil {
		return err
	}
	if err := resp.Errors["acked"]; err != nil && !strings.Contains(err.Error(), "already exists") {
		return err
	}
	fmt.Println("ready")
	failed := make(chan error)
	for p := range killPartitions {
		go func() {
			for i := 0; ; i++ {
				value := fmt.Sprintf("%d-%d-%d", os.Getpid(), p, i)
				resp, err := c.Produce(ctx, &kafka.ProduceRequest{
					Topic: "acked", Partition: p, RequiredAcks: kafka.RequireAll,
					Records: kafka.NewRecordReader(kafka.Record{Value: kafka.NewBytes([]byte(value))}, kafka.Record{Value: kafka.NewBytes([]byte(value + "b"))}),
				})
				if err != nil || resp.Error != nil {
					failed <- fmt.Errorf("producing: %w %w", err, resp.Error)
					return
				}
				fmt.Println("ack", p, resp.BaseOffset, value)
			}
		}()
	}
	return <-failed
}

func TestEverythingAcknowledgedSurvivesKill(t *testing.T) {
	dir := t.TempDir()
	type place struct{ partition, offset int }
	acked := map[place]string{}
	for round := range 6 {
		c := exec.CommandContext(within(t), os.Args[0])
		c.Env = append(os.Environ(), envDir+"="+dir)
		var stderr bytes.Buffer
		c.Stderr = &stderr
		stdout, err := c.StdoutPipe()
		must(t, err)
		must(t, c.Start())
		lines, before := bufio.NewScanner(stdout), len(acked)
		for lines.Scan() {
			if lines.Text() == "ready" {
				defer time.AfterFunc(100*time.Millisecond+rand.N(300*time.Millisecond), func() { _ = c.Process.Kill() }).Stop()
				continue
			}
			var at place
			var value string
			if _, err := fmt.Sscanf(lines.Text(), "ack %d %d %s", &at.partition, &at.offset, &value); err == nil {
				acked[at] = value
			}
		}
		_ = c.Wait()
		if len(acked) == before {
			t.Fatalf("round %d: nothing was acknowledged: %s", round, stderr.String())
		}
	}
	b := start(t, dir)
	for p := range killPartitions {
		values := read(within(t), t, b, "acked", p)
		for at, want := range acked {
			if at.partition != p {
				continue
			}
			if at.offset+1 >= len(values) || values[at.offset] != want || values[at.offset+1] != want+"b" {
				t.Fatalf("partition %d has %d records; acknowledged %q at %d is not there", p, len(values), want, at.offset)
			}
		}
	}
	t.Logf("%d batches acknowledged and found", len(acked))
}

// crashed returns a copy of a running broker's directory: what a kill would leave.
func crashed(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	must(t, os.CopyFS(to, os.DirFS(dir)))
	return to
}

func TestACrashedBrokerStartsWhereItWas(t *testing.T) {
	ctx, dir := within(t), t.TempDir()
	b := start(t, dir)
	create(ctx, t, b, "events", 1)
	produce(ctx, t, b, 50)
	want := read(ctx, t, b, "events", 0)

	again := start(t, crashed(t, dir))
	if got := read(ctx, t, again, "events", 0); strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("after the crash: %v", got)
	}
	produce(ctx, t, again, 1)
	if first, last := offsets(ctx, t, again, "events"); first != 0 || last != 51 {
		t.Errorf("offsets after one record more: %d to %d, want 0 to 51", first, last)
	}
}

func offsets(ctx context.Context, t testing.TB, b *broker.Broker, topic string) (first, last int64) {
	t.Helper()
	conn, err := kafka.DialLeader(ctx, "tcp", b.Addrs()[0], topic, 0)
	must(t, err)
	defer conn.Close()
	first, last, err = conn.ReadOffsets()
	must(t, err)
	return first, last
}

func segment(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "log", "partitions", "events-0", "*.dat"))
	must(t, err)
	if len(files) == 0 {
		t.Fatal("no segment")
	}
	return files[len(files)-1]
}

// A write that the kill cut short was not acknowledged: it goes, and what came before it stays.
func TestAnUnfinishedWriteIsCutOff(t *testing.T) {
	ctx, dir := within(t), t.TempDir()
	b := start(t, dir)
	create(ctx, t, b, "events", 1)
	produce(ctx, t, b, 10)
	whole, err := os.ReadFile(segment(t, dir))
	must(t, err)
	produce(ctx, t, b, 10)
	full, err := os.ReadFile(segment(t, dir))
	must(t, err)
	for name, tail := range map[string][]byte{
		"half a batch":  full[len(whole) : len(whole)+(len(full)-len(whole))/2],
		"half a header": full[len(whole) : len(whole)+7],
		"garbage":       bytes.Repeat([]byte{0}, 100),
		"wrong content": append(bytes.Clone(full[len(whole):len(full)-1]), full[len(full)-1]^1),
	} {
		t.Run(name, func(t *testing.T) {
			copied := crashed(t, dir)
			must(t, os.WriteFile(segment(t, copied), append(bytes.Clone(whole), tail...), 0o600))
			again := start(t, copied)
			if got := read(ctx, t, again, "events", 0); len(got) != 10 {
				t.Errorf("%d records, want 10", len(got))
			}
			produce(ctx, t, again, 5)
			must(t, again.Close())
			if got := read(ctx, t, start(t, copied), "events", 0); len(got) != 15 {
				t.Errorf("%d records after five more and a restart, want 15", len(got))
			}
		})
	}
}

// Damage before the end of the log is not what a kill does. Starting anyway would lose acknowledged records in silence.
func TestADamagedLogIsRefused(t *testing.T) {
	ctx, dir := within(t), t.TempDir()
	b := start(t, dir)
	create(ctx, t, b, "events", 1)
	produce(ctx, t, b, 10)
	copied := crashed(t, dir)
	path := segment(t, copied)
	content, err := os.ReadFile(path)
	must(t, err)
	// A second segment makes the first one the middle of the log.
	next := bytes.Clone(content)
	binary.BigEndian.PutUint64(next, 10)
	must(t, os.WriteFile(filepath.Join(filepath.Dir(path), "10.dat"), next, 0o600))
	content[len(content)/2] ^= 1
	must(t, os.WriteFile(path, content, 0o600))
	if b, err := broker.Open(broker.Config{Dir: copied}, slog.New(slog.DiscardHandler)); err == nil {
		b.Close()
		t.Error("the damaged log was opened")
	} else if !strings.Contains(err.Error(), "damaged") {
		t.Errorf("refused with %v", err)
	}
}

// Retention may empty a partition, but the offsets that were given are never given again, not even after a crash.
func TestOffsetsGoOnAfterRetentionAndACrash(t *testing.T) {
	ctx, dir := within(t), t.TempDir()
	b, err := broker.Open(broker.Config{Dir: dir, RetentionInterval: 20 * time.Millisecond}, slog.New(slog.DiscardHandler))
	must(t, err)
	defer b.Close()
	create(ctx, t, b, "events", 1, kafka.ConfigEntry{ConfigName: "retention.ms", ConfigValue: "3600000"})
	create(ctx, t, b, "kept", 1, kafka.ConfigEntry{ConfigName: "retention.ms", ConfigValue: "-1"})
	old := time.Now().Add(-2 * time.Hour)
	for _, topic := range []string{"events", "kept"} {
		w := &kafka.Writer{Addr: kafka.TCP(b.Addrs()...), Topic: topic, RequiredAcks: kafka.RequireAll, BatchSize: 1}
		for i := range 20 {
			must(t, w.WriteMessages(ctx, kafka.Message{Value: []byte(fmt.Sprint(i)), Time: old}))
		}
		must(t, w.Close())
	}
	for first := int64(0); first != 19; {
		time.Sleep(10 * time.Millisecond)
		var last int64
		if first, last = offsets(ctx, t, b, "events"); first > 19 || last != 20 || ctx.Err() != nil {
			t.Fatalf("offsets %d to %d, want 19 to 20", first, last)
		}
	}
	if first, last := offsets(ctx, t, b, "kept"); first != 0 || last != 20 {
		t.Errorf("a topic without retention: offsets %d to %d", first, last)
	}
	if _, last := offsets(ctx, t, start(t, crashed(t, dir)), "events"); last != 20 {
		t.Errorf("after the crash the next offset is %d, want 20", last)
	}
	w := &kafka.Writer{Addr: kafka.TCP(b.Addrs()...), Topic: "events", RequiredAcks: kafka.RequireAll, BatchSize: 1}
	defer w.Close()
	must(t, w.WriteMessages(ctx, kafka.Message{Value: []byte("young")}))
	time.Sleep(100 * time.Millisecond)
	if got := read(ctx, t, b, "events", 0); len(got) != 1 || got[0] != "young" {
		t.Errorf("after a young record the log holds %v", got)
	}
}
