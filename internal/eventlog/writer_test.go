package eventlog

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/segmentio/kafka-go"
	"golang.org/x/sync/errgroup"
)

// readTopic returns everything in a partition.
func readTopic(t testing.TB, p *Partition) (all []kafka.Message) {
	t.Helper()
	at, end, err := p.Range(t.Context())
	for err == nil && at < end {
		var msgs []kafka.Message
		if msgs, err = p.Read(t.Context(), at, ReadLimits{MaxBytes: 100_000}); len(msgs) > 0 {
			at = msgs[len(msgs)-1].Offset + 1
			all = append(all, msgs...)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func readEvents(t testing.TB, c *Client) (all []kafka.Message) {
	t.Helper()
	for p := range 4 {
		all = append(all, readTopic(t, c.Partition(EventsTopic, p, testEpochID))...)
	}
	return all
}

func TestRecordsGoWhereOtherClientsExpectThem(t *testing.T) {
	w := testWriter(t, testKafka(t))
	// Hashes of Apache Kafka's own test of its murmur2 (UtilsTest.testMurmur2).
	for key, hash := range map[string]int32{
		"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536, "a-little-bit-longer-string": -1486304829,
		"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971, "abc": 479470107,
	} {
		if got, want := w.Partition([]byte(key)), int(uint32(hash)&0x7fffffff)%4; got != want {
			t.Errorf("%s: partition %d, want %d", key, got, want)
		}
	}
}

func TestConcurrentCallersKeepTheirOrderPerKey(t *testing.T) {
	cl := testKafka(t)
	w, err := NewWriter(cl, WriterConfig{Epoch: testEpoch(), MaxBatchBytes: 2048}, prometheus.NewRegistry(), quiet())
	if err != nil {
		t.Fatal(err)
	}
	const callers, calls, size = 8, 40, 25
	var g errgroup.Group
	for c := range callers {
		g.Go(func() error {
			var pending []Pending
			for i := range calls {
				recs := make([]Record, size)
				for j := range recs {
					recs[j] = Record{Key: fmt.Appendf(nil, "shop/v:%d-%d", c, j%5), Value: binary.BigEndian.AppendUint32(nil, uint32(i*size+j))}
				}
				p, err := w.Enqueue(t.Context(), recs)
				if err != nil {
					return err
				}
				pending = append(pending, p)
			}
			for _, p := range pending {
				if err := p.Wait(t.Context()); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	last, n := map[string]int{}, 0
	for _, m := range readEvents(t, cl) {
		seq := int(binary.BigEndian.Uint32(m.Value))
		if before, ok := last[string(m.Key)]; ok && seq <= before {
			t.Fatalf("key %s: %d after %d", m.Key, seq, before)
		}
		if m.Partition != w.Partition(m.Key) {
			t.Fatalf("key %s is in partition %d", m.Key, m.Partition)
		}
		last[string(m.Key)] = seq
		n++
	}
	if n != callers*calls*size {
		t.Errorf("%d records, want %d", n, callers*calls*size)
	}
}

func TestEveryCodecRoundTrips(t *testing.T) {
	cl := testKafka(t)
	// A random value of nearly a batch's size must not grow beyond what the brokers take, whatever the codec.
	large := make([]byte, 999_000)
	for i := range large {
		large[i] = byte(i*i*7919 + i>>3)
	}
	values := [][]byte{{}, []byte("x"), bytes.Repeat([]byte("event "), 20_000), large, []byte("y")}
	codecs := []kafka.Compression{NoCompression, kafka.Gzip, kafka.Snappy, kafka.Lz4, kafka.Zstd}
	for _, codec := range codecs {
		w, err := NewWriter(cl, WriterConfig{Epoch: testEpoch(), Compression: codec}, prometheus.NewRegistry(), quiet())
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range values {
			if err := w.Append(t.Context(), []Record{{Key: []byte("k"), Value: v}, {Key: []byte("k"), Value: []byte("between")}}); err != nil {
				t.Fatalf("codec %d, %d bytes: %v", codec, len(v), err)
			}
		}
		k := w.Partition([]byte("k"))
		all := readTopic(t, cl.Partition(EventsTopic, k, testEpochID))
		got := all[len(all)-2*len(values):]
		for i, v := range values {
			if !bytes.Equal(got[2*i].Value, v) || string(got[2*i].Key) != "k" || string(got[2*i+1].Value) != "between" {
				t.Errorf("codec %d: record of %d bytes came back as %d", codec, len(v), len(got[2*i].Value))
			}
		}
	}
}

func TestRecordsCarryEpochAndTimeOfSending(t *testing.T) {
	cl := testKafka(t)
	w := testWriter(t, cl)
	before := time.Now().Truncate(time.Millisecond)
	appendKeys(t, w, 0, 20)
	after := time.Now()
	for _, m := range readEvents(t, cl) {
		if len(m.Headers) != 1 || m.Headers[0].Key != "epoch" || string(m.Headers[0].Value) != testEpochID {
			t.Errorf("headers %v", m.Headers)
		}
		if m.Time.Before(before) || m.Time.After(after) {
			t.Errorf("time %s is not between %s and %s", m.Time, before, after)
		}
	}
}

func TestTooLargeRecordIsRefusedAndNothingOfItsCallWritten(t *testing.T) {
	cl := testKafka(t)
	w := testWriter(t, cl)
	err := w.Append(t.Context(), []Record{{Key: []byte("a"), Value: []byte("good")}, {Key: []byte("b"), Value: make([]byte, 1_000_000)}})
	if !errors.Is(err, ErrRecordTooLarge) {
		t.Errorf("got %v, want ErrRecordTooLarge", err)
	}
	if err := w.Append(t.Context(), nil); err != nil {
		t.Errorf("appending nothing: %v", err)
	}
	if all := readEvents(t, cl); len(all) != 0 {
		t.Errorf("%d records were written", len(all))
	}
}

func TestCloseSendsWhatWasEnqueued(t *testing.T) {
	cl := testKafka(t)
	w, err := NewWriter(cl, WriterConfig{Epoch: testEpoch(), Linger: time.Second}, prometheus.NewRegistry(), quiet())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		if _, err := w.Enqueue(t.Context(), []Record{{Key: fmt.Append(nil, i), Value: []byte("v")}}); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := w.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if all := readEvents(t, cl); len(all) != 10 {
		t.Errorf("%d records, want 10", len(all))
	}
	if err := w.Append(t.Context(), []Record{{Key: []byte("k")}}); !errors.Is(err, ErrClosed) {
		t.Errorf("append after close: %v, want ErrClosed", err)
	}
}

func TestBadWriterConfigIsRefused(t *testing.T) {
	for name, cfg := range map[string]WriterConfig{
		"no epoch":     {},
		"huge batches": {Epoch: testEpoch(), MaxBatchBytes: 2_000_000},
		"tiny buffer":  {Epoch: testEpoch(), MaxBufferedBytes: 1000},
	} {
		if _, err := NewWriter(nil, cfg, prometheus.NewRegistry(), quiet()); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	for _, brokers := range [][]string{nil, {"nohost"}, {"host:1", "x"}} {
		if _, err := NewClient(ClientConfig{Brokers: brokers}); err == nil || !strings.Contains(err.Error(), "host:port") {
			t.Errorf("brokers %v: %v", brokers, err)
		}
	}
}

func TestReadingOutsideTheLog(t *testing.T) {
	cl := testKafka(t)
	p := cl.Partition(RegistryTopic, 0, "")
	if _, err := p.Append(t.Context(), []byte("k"), []byte("v")); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Read(t.Context(), 2, ReadLimits{}); !errors.Is(err, ErrOffsetOutOfRange) {
		t.Errorf("after the end: %v, want ErrOffsetOutOfRange", err)
	}
	start := time.Now()
	msgs, err := p.Read(t.Context(), 1, ReadLimits{MaxWait: 50 * time.Millisecond})
	if err != nil || len(msgs) != 0 || time.Since(start) > 5*time.Second {
		t.Errorf("at the end: %d records, %v, after %s", len(msgs), err, time.Since(start))
	}
}

func TestDeadLetterKeepsTheRecordAndSaysWhy(t *testing.T) {
	cl := testKafka(t)
	original := kafka.Message{
		Topic: EventsTopic, Partition: 3, Offset: 42, Key: []byte("bad key"), Value: []byte{0xff, 0x00}, Time: time.UnixMilli(1_700_000_000_123),
		Headers: []kafka.Header{{Key: EpochHeader, Value: []byte(testEpochID)}},
	}
	if err := NewDeadLetters(cl).Write(t.Context(), original, strings.Repeat("undecodable ", 1000)); err != nil {
		t.Fatal(err)
	}
	all := readTopic(t, cl.Partition(DeadLetterTopic, 0, ""))
	if len(all) != 1 || !bytes.Equal(all[0].Key, original.Key) || !bytes.Equal(all[0].Value, original.Value) {
		t.Fatalf("dead letters: %v", all)
	}
	got := map[string]string{}
	for _, h := range all[0].Headers {
		got[h.Key] = string(h.Value)
	}
	for k, want := range map[string]string{"topic": EventsTopic, "partition": "3", "offset": "42", "timestamp": "1700000000123", "epoch": testEpochID} {
		if got[k] != want {
			t.Errorf("header %s is %q, want %q", k, got[k], want)
		}
	}
	if len(got["reason"]) != maxReason {
		t.Errorf("reason has %d bytes", len(got["reason"]))
	}
}
