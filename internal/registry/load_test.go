package registry

import (
	"fmt"
	"log/slog"
	"testing"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/eventlog"
	"github.com/aftertouch-io/aftertouch/internal/privacy"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/segmentio/kafka-go"
)

// TestTableKeepsEveryVersionApart edits a table many times and checks that no earlier one changed.
func TestTableKeepsEveryVersionApart(t *testing.T) {
	base := &table[int, int]{}
	var all []*table[int, int]
	for round := range 20 {
		e := edit(base)
		for i := range 100 {
			e.set(round*50+i, round) // half new, half replaced
			if v, ok := e.get(round*50 + i); !ok || v != round {
				t.Fatalf("round %d: just set, got %d, %v", round, v, ok)
			}
		}
		base = e.result()
		all = append(all, base)
	}
	for round, tab := range all {
		n := 0
		for k := range 2000 {
			v, ok := tab.get(k)
			want, exists := min(k/50, round), k < round*50+100
			if ok != exists || ok && v != want {
				t.Fatalf("table of round %d: key %d is %d, %v; want %d, %v", round, k, v, ok, want, exists)
			}
			if ok {
				n++
			}
		}
		if n != tab.size {
			t.Errorf("table of round %d: size %d, counted %d", round, tab.size, n)
		}
	}
	if e := edit(base); e.result() != base {
		t.Error("an editor that changed nothing made a new table")
	}
}

// loaded returns records of n links in one workspace, and the snapshot that they begin with.
func loaded(b *testing.B, n int) (*View, []kafka.Message) {
	b.Helper()
	v := &View{master: testMaster(b, 1), log: slog.New(slog.DiscardHandler), changed: make(chan struct{})}
	v.snapshot.Store(emptySnapshot())
	var err error
	if v.metrics, err = newViewMetrics(prometheus.NewRegistry(), v); err != nil {
		b.Fatal(err)
	}
	return v, linkRecords(b, v, n)
}

func linkRecords(b *testing.B, v *View, n int) []kafka.Message {
	sealed := v.master.SealWorkspaceKeys("shop", privacy.NewWorkspaceKeys())
	msgs := []kafka.Message{record(b, "shop", &aftertouchv1.RegistryRecord{
		SealedKeys: sealed, Object: &aftertouchv1.RegistryRecord_Workspace{Workspace: &aftertouchv1.Workspace{WorkspaceId: "shop", Version: 1}},
	})}
	for i := range n {
		msgs = append(msgs, record(b, "shop", linkRecord(&aftertouchv1.Link{
			LinkId: fmt.Sprintf("link-%d", i), Version: 1, AgreementId: "a", TargetUrl: "https://shop.example/landing?utm_source=creator",
		})))
	}
	for i := range msgs {
		msgs[i].Offset = int64(i)
	}
	return msgs
}

func record(b *testing.B, workspace string, r *aftertouchv1.RegistryRecord) kafka.Message {
	k, err := keyOf(workspace, r)
	if err != nil {
		b.Fatal(err)
	}
	value, err := r.MarshalVT()
	if err != nil {
		b.Fatal(err)
	}
	return kafka.Message{Key: []byte(k.String()), Value: value}
}

// BenchmarkApply measures materialising 100,000 links, in batches of 10,000.
func BenchmarkApply(b *testing.B) {
	const n = 100_000
	_, msgs := loaded(b, n)
	b.ReportAllocs()
	for b.Loop() {
		v, _ := loaded(b, 0)
		for from := 0; from < len(msgs); from += 10_000 {
			if err := v.apply(msgs[from:min(from+10_000, len(msgs))]); err != nil {
				b.Fatal(err)
			}
		}
		if got := v.Snapshot().links.size; got != n {
			b.Fatalf("%d links", got)
		}
	}
}

// BenchmarkApplyOne measures one more link for a registry of 100,000.
func BenchmarkApplyOne(b *testing.B) {
	v, msgs := loaded(b, 200_000)
	if err := v.apply(msgs[:100_000]); err != nil {
		b.Fatal(err)
	}
	i := 100_000
	b.ReportAllocs()
	for b.Loop() {
		if err := v.apply(msgs[i : i+1]); err != nil {
			b.Fatal(err)
		}
		if i++; i == len(msgs) {
			i = 100_000 // written again: ignored, which costs no less
		}
	}
}

// BenchmarkAuthenticate measures a look-up of a key as each request makes it.
func BenchmarkAuthenticate(b *testing.B) {
	s := runStore(b, testClient(b))
	keys, err := Bootstrap(b.Context(), s, BootstrapOptions{Partitions: 2})
	must(b, err)
	b.ReportAllocs()
	for b.Loop() {
		if _, reason := s.view.Authenticate(keys.WebKey); reason != "" {
			b.Fatal(reason)
		}
	}
}

// BenchmarkLoad measures the start of a service beside a registry of 20,000 objects, broker included.
func BenchmarkLoad(b *testing.B) {
	c := testClient(b)
	_, msgs := loaded(b, 20_000)
	fillRegistry(b, c, msgs)
	for b.Loop() {
		loadedView := runView(b, c)
		if loadedView.Snapshot().links.size != 20_000 {
			b.Fatal("not everything is loaded")
		}
	}
}

// fillRegistry writes records as they are, through the events' writer pointed at the registry's topic.
func fillRegistry(b *testing.B, c *eventlog.Client, msgs []kafka.Message) {
	w, err := eventlog.NewWriter(c, eventlog.WriterConfig{
		Epoch: eventlog.EpochInfo{Number: 1, Topic: eventlog.RegistryTopic, Partitions: 1, ID: "x"},
	}, prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
	must(b, err)
	recs := make([]eventlog.Record, len(msgs))
	for i, m := range msgs {
		recs[i] = eventlog.Record{Key: m.Key, Value: m.Value}
	}
	must(b, w.Append(b.Context(), recs))
}
