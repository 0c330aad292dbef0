package attributor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aftertouch-io/aftertouch/internal/attribution"
	"github.com/aftertouch-io/aftertouch/internal/embedded/embeddedtest"
	"github.com/aftertouch-io/aftertouch/internal/eventlog"
	"github.com/aftertouch-io/aftertouch/internal/state"
	"github.com/aftertouch-io/aftertouch/internal/store"
	"github.com/aftertouch-io/aftertouch/internal/store/storetest"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/segmentio/kafka-go"
)

// rig is a broker with an events topic.
type rig struct {
	client *eventlog.Client
	epoch  eventlog.EpochInfo
	writer *eventlog.Writer
}

func newRig(t testing.TB, partitions int) *rig {
	t.Helper()
	client, err := eventlog.NewClient(eventlog.ClientConfig{Brokers: embeddedtest.Kafka(t)})
	must(t, err)
	t.Cleanup(client.Close)
	r := &rig{client: client, epoch: eventlog.EpochInfo{Number: 1, Topic: eventlog.EventsTopic, Partitions: partitions, ID: "0123456789abcdef"}}
	must(t, eventlog.EnsureTopics(storetest.Context(t), client, eventlog.TopicSettings{EpochNumber: 1, Partitions: partitions, ReplicationFactor: 1}))
	r.writer, err = eventlog.NewWriter(client, eventlog.WriterConfig{Epoch: r.epoch}, prometheus.NewRegistry(), quiet())
	must(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = r.writer.Close(ctx)
	})
	return r
}

func (r *rig) append(t testing.TB, recs []eventlog.Record) {
	t.Helper()
	// Several appends, so that the log has several batches.
	for chunk := range slices.Chunk(recs, 100) {
		must(t, r.writer.Append(storetest.Context(t), chunk))
	}
}

// site is everything durable that attributors of one installation share, apart from the log.
type site struct {
	*rig
	cfg      Config
	stateCfg state.Config
	dir      *state.Dir
	store    *store.Store
	registry *fakeRegistry
	letters  *fakeLetters
	metrics  *prometheus.Registry
	faults   *faults
	writer   Appender
	wrapCore func(core) core
	deriver  Runner
	// start hides the log before it, as retention does.
	start int64

	mu      sync.Mutex
	offsets map[int]int64
	failed  []error
}

func newSite(t testing.TB, r *rig) *site {
	t.Helper()
	s := &site{
		rig: r, cfg: testConfig(), stateCfg: state.Default(), store: storetest.Open(t), registry: newFakeRegistry(),
		letters: &fakeLetters{}, faults: &faults{}, writer: r.writer, offsets: map[int]int64{},
	}
	s.stateCfg.Dir = t.TempDir() + "/state"
	s.stateCfg.CacheBytes, s.stateCfg.MemTableBytes = 8<<20, 1<<20
	s.open(t)
	t.Cleanup(func() { s.dir.Close() })
	return s
}

func testConfig() Config {
	cfg := Default()
	cfg.MinInterval, cfg.PollWait, cfg.RetryFor, cfg.DrainTimeout = 0, 20*time.Millisecond, 0, 5*time.Second
	cfg.CoreCacheBytes = 1 << 20
	return cfg
}

// open opens the directory of states, as a process that starts does.
func (s *site) open(t testing.TB) {
	t.Helper()
	if s.dir != nil {
		s.dir.Close()
	}
	dir, err := state.NewDir(s.stateCfg, quiet(), prometheus.NewRegistry())
	must(t, err)
	s.dir = dir
}

func (s *site) attributor(t testing.TB) *Attributor {
	t.Helper()
	s.metrics = prometheus.NewRegistry()
	a, err := New(s.cfg, Deps{
		Client: s.client, Epoch: s.epoch, DeadLetters: s.letters, Registry: s.registry,
		Writer: faultyAppender{s.writer, s.faults}, Sink: faultySink{s.store, s.faults}, Stores: faultyStores{StateDir(s.dir), s.faults},
		Deriver: s.deriver, Log: quiet(), Metrics: s.metrics,
	})
	must(t, err)
	if made := a.newCore; s.wrapCore != nil {
		a.newCore = func(st State) (core, error) {
			c, err := made(st)
			return s.wrapCore(c), err
		}
	}
	return a
}

// run works on all partitions, restarting those that fail, until everything in the log is applied.
func (s *site) run(t testing.TB) *Attributor {
	t.Helper()
	a := s.attributor(t)
	ctx, cancel := context.WithCancel(storetest.Context(t))
	defer cancel()
	var wg sync.WaitGroup
	for id := range s.epoch.Partitions {
		wg.Go(func() { s.supervise(ctx, cancel, a, id) })
	}
	for !s.quiescent(t, ctx, a) && ctx.Err() == nil {
		time.Sleep(5 * time.Millisecond)
	}
	cancel()
	wg.Wait()
	return a
}

// supervise is what a group does for one partition: it assigns it again after a failure.
func (s *site) supervise(ctx context.Context, stop func(), a *Attributor, id int) {
	for ctx.Err() == nil {
		err := a.handle(ctx, &siteLog{Partition: s.client.Partition(s.epoch.Topic, id, s.epoch.ID), site: s, id: id})
		if err == nil {
			continue
		}
		s.mu.Lock()
		s.failed = append(s.failed, err)
		s.mu.Unlock()
		if errors.Is(err, ErrLogWentBackwards) || errors.Is(err, eventlog.ErrStopPartition) {
			stop()
		}
	}
}

// quiescent reads how far partitions are before where they end: one that is at its end then was not working, so nobody
// was.
func (s *site) quiescent(t testing.TB, ctx context.Context, a *Attributor) bool {
	t.Helper()
	next := map[int]int64{}
	a.statuses.mu.Lock()
	for id, st := range a.statuses.m {
		if st.isRestored.Load() {
			next[id] = st.next.Load()
		}
	}
	a.statuses.mu.Unlock()
	for id := range s.epoch.Partitions {
		_, end, err := s.client.Partition(s.epoch.Topic, id, s.epoch.ID).Range(ctx)
		if ctx.Err() != nil {
			return false
		}
		must(t, err)
		if n, ok := next[id]; !ok || n != end {
			return false
		}
		s.mu.Lock()
		committed := s.offsets[id]
		s.mu.Unlock()
		if committed != end && end > 0 {
			return false
		}
	}
	return true
}

func (s *site) failures() []error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.failed)
}

// siteLog is a partition with the site's offsets in place of a group's.
type siteLog struct {
	*eventlog.Partition
	site *site
	id   int
}

func (l *siteLog) PartitionID() int { return l.id }

func (l *siteLog) CommittedOffset() int64 {
	l.site.mu.Lock()
	defer l.site.mu.Unlock()
	if o, ok := l.site.offsets[l.id]; ok {
		return o
	}
	return -1
}

func (l *siteLog) Range(ctx context.Context) (start, end int64, err error) {
	start, end, err = l.Partition.Range(ctx)
	return max(start, l.site.start), end, err
}

func (l *siteLog) CommitOffset(_ context.Context, next int64) error {
	return l.site.faults.around("commit offset", func() error {
		l.site.mu.Lock()
		defer l.site.mu.Unlock()
		l.site.offsets[l.id] = next
		return nil
	})
}

// tables are those whose rows are a function of the log. dirty_hours is one of batches: marks only say what to derive anew.
var tables = []string{"facts", "journeys", "journey_changes", "identities", "refusals", "progress"}

// rows returns every row as it is read, by table.
func (s *site) rows(t testing.TB) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	for _, table := range tables {
		all[table] = s.query(t, "SELECT formatRow('JSONEachRow', *) AS r FROM "+table+" FINAL ORDER BY r")
	}
	return all
}

// query returns the first column.
func (s *site) query(t testing.TB, sql string) []string {
	t.Helper()
	rows, err := s.store.Conn().Query(storetest.Context(t), sql)
	must(t, err)
	defer rows.Close()
	var out []string
	for rows.Next() {
		var r string
		must(t, rows.Scan(&r))
		out = append(out, r)
	}
	must(t, rows.Err())
	return out
}

// states returns every partition's next offset and the state of the entities named.
func (s *site) states(t testing.TB, entities []string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for id := range s.epoch.Partitions {
		st, err := s.dir.Open(s.epoch.Number, int32(id))
		must(t, err)
		m := st.Meta()
		all[fmt.Sprintf("partition %d", id)] = fmt.Sprintf("%d %v %d", m.Next, m.Last, m.Clock)
		for _, key := range entities {
			v, err := st.State(parse(t, key))
			must(t, err)
			if v != nil {
				all[fmt.Sprintf("%d %s", id, key)] = fmt.Sprintf("%x", v)
			}
		}
		must(t, st.Close())
	}
	return all
}

func diff[V any](t testing.TB, what string, want, got map[string]V, equal func(a, b V) bool) {
	t.Helper()
	for _, k := range slices.Sorted(maps.Keys(want)) {
		if !equal(want[k], got[k]) {
			t.Errorf("%s: %s differs:\nwant %v\n got %v", what, k, want[k], got[k])
			return
		}
	}
	if len(want) != len(got) {
		t.Errorf("%s: %d entries, want %d", what, len(got), len(want))
	}
}

// diffRows prints the first row that differs.
func diffRows(t testing.TB, what string, want, got map[string][]string) {
	t.Helper()
	for _, table := range slices.Sorted(maps.Keys(want)) {
		w, g := want[table], got[table]
		for i := range max(len(w), len(g)) {
			a, b := "nothing", "nothing"
			if i < len(w) {
				a = w[i]
			}
			if i < len(g) {
				b = g[i]
			}
			if a != b {
				t.Errorf("%s: %s has %d rows, want %d; first difference:\nwant %s\n got %s", what, table, len(g), len(w), a, b)
				break
			}
		}
	}
}

// counter returns the value of a metric of the newest attributor with the label.
func (s *site) counter(t testing.TB, name, label, value string) float64 {
	t.Helper()
	families, err := s.metrics.Gather()
	must(t, err)
	total := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == label && l.GetValue() == value {
					total += m.GetCounter().GetValue() + m.GetGauge().GetValue()
				}
			}
		}
	}
	return total
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func must(t testing.TB, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// fakeRegistry knows one workspace and the agreements a0 to a2 in version 1.
type fakeRegistry struct {
	mu      sync.Mutex
	offset  int64
	changed chan struct{}
}

func newFakeRegistry() *fakeRegistry { return &fakeRegistry{offset: 1, changed: make(chan struct{})} }

func (f *fakeRegistry) Agreement(workspace, id string, version uint32) (attribution.AgreementTerms, bool) {
	const day = 24 * 3600 * 1000
	if workspace != shop || version != 1 || len(id) != 2 || id[0] != 'a' || id[1] < '0' || id[1] > '2' {
		return attribution.AgreementTerms{}, false
	}
	return attribution.AgreementTerms{
		ClickWindow: 30 * day, VisitWindow: 30 * day, EngagementWindow: 7 * day, ImpressionWindow: day,
		ViewThrough: id == "a1", HalfLife: 7 * day,
	}, true
}

func (f *fakeRegistry) IdentityKey(workspace string) []byte {
	if workspace != shop {
		return nil
	}
	return []byte("0123456789abcdef0123456789abcdef")
}

func (f *fakeRegistry) Offset() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.offset
}

func (f *fakeRegistry) advance(offset int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.offset = offset
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *fakeRegistry) WaitFor(ctx context.Context, offset int64) error {
	for {
		f.mu.Lock()
		ok, changed := f.offset >= offset, f.changed
		f.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// fakeLetters keeps dead letters in memory, by partition and offset.
type fakeLetters struct {
	mu     sync.Mutex
	reason map[string]string
}

func (f *fakeLetters) Write(_ context.Context, m kafka.Message, reason string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.reason == nil {
		f.reason = map[string]string{}
	}
	f.reason[fmt.Sprintf("%d/%d", m.Partition, m.Offset)] = reason
	return nil
}
