package collector

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/embedded/embeddedtest"
	"github.com/aftertouch-io/aftertouch/internal/event"
	"github.com/aftertouch-io/aftertouch/internal/eventlog"
	"github.com/aftertouch-io/aftertouch/internal/grpccodec"
	"github.com/aftertouch-io/aftertouch/internal/privacy"
	"github.com/aftertouch-io/aftertouch/internal/registry"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

var quiet = slog.New(slog.DiscardHandler)

// Keys of the test world.
const (
	webKey     = "atw_test_all_origins_0001"
	boundKey   = "atw_test_one_origin_00001"
	secretKey  = "ats_test_collect_00000001"
	replayKey  = "ats_test_replay_000000001"
	readKey    = "ats_test_read_only_000001"
	revokedKey = "ats_test_revoked_00000001"
	limitedKey = "ats_test_limited_00000001"
	strictKey  = "atw_test_consent_required"
)

// now is the collectors' clock in tests; campaigns of the test world run around it.
var now = time.Date(2026, 3, 15, 12, 0, 0, 0, time.UTC)

// world is a broker with a registry, shared by the tests of this package because both take a second to start.
type world struct {
	client *eventlog.Client
	view   *registry.View
	store  *registry.Store
	epoch  eventlog.EpochInfo
}

var sharedWorld = sync.OnceValues(makeWorld)

func makeWorld() (*world, error) {
	t := &longLived{}
	c, err := eventlog.NewClient(eventlog.ClientConfig{Brokers: embeddedtest.Kafka(t)})
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	if err := eventlog.EnsureTopics(ctx, c, eventlog.TopicSettings{Partitions: 4}); err != nil {
		return nil, err
	}
	master, err := privacy.NewMasterKey(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		return nil, err
	}
	view, err := registry.NewView(c, master, prometheus.NewRegistry(), quiet)
	if err != nil {
		return nil, err
	}
	go view.Run(ctx) //nolint:errcheck // it runs as long as the tests
	w := &world{client: c, view: view, store: registry.NewStore(c, view, master)}
	if err := view.WaitReady(ctx); err != nil {
		return nil, err
	}
	if w.epoch, err = w.store.EnsureEpoch(ctx, 4); err != nil {
		return nil, err
	}
	return w, w.fill(ctx)
}

// longLived is a test that never ends: the process does.
type longLived struct{ testing.TB }

func (*longLived) Helper()                   {}
func (*longLived) Cleanup(func())            {}
func (*longLived) Fatalf(f string, _ ...any) { panic(f) }
func (l *longLived) TempDir() string         { return worldDir }
func (*longLived) Context() context.Context  { return context.Background() }

func (w *world) fill(ctx context.Context) error {
	day := func(n int) time.Time { return time.Date(2026, 3, n, 0, 0, 0, 0, time.UTC) }
	var errs []error
	write := func(workspace string, r *aftertouchv1.RegistryRecord) {
		if err := w.store.Write(ctx, workspace, r); err != nil {
			errs = append(errs, err)
		}
	}
	for _, ws := range []*aftertouchv1.Workspace{
		{WorkspaceId: "shop", Name: "The Shop"},
		{WorkspaceId: "other", Name: "Another"},
		{WorkspaceId: "strict", Name: "Strict", ConsentRequired: true, HonourDoNotTrack: true},
	} {
		ws.Version, ws.TimeZone = 1, "UTC"
		errs = append(errs, w.store.CreateWorkspace(ctx, ws, "test"))
	}
	for secret, k := range map[string]*aftertouchv1.Key{
		webKey:     {KeyId: "web", Kind: aftertouchv1.Key_web, Scopes: []string{"collect"}, Origins: []string{"*"}},
		boundKey:   {KeyId: "bound", Kind: aftertouchv1.Key_web, Scopes: []string{"collect"}, Origins: []string{"https://shop.example", "https://*.shop.example"}},
		secretKey:  {KeyId: "secret", Kind: aftertouchv1.Key_secret, Scopes: []string{"collect"}},
		replayKey:  {KeyId: "replay", Kind: aftertouchv1.Key_secret, Scopes: []string{"collect", "replay"}},
		readKey:    {KeyId: "read", Kind: aftertouchv1.Key_secret, Scopes: []string{"read"}},
		revokedKey: {KeyId: "revoked", Kind: aftertouchv1.Key_secret, Scopes: []string{"collect"}},
		limitedKey: {KeyId: "limited", Kind: aftertouchv1.Key_secret, Scopes: []string{"collect"}, RateLimit: 1},
	} {
		k.Version = 1
		_, err := w.store.CreateKey(ctx, "shop", k, secret, "test")
		errs = append(errs, err)
	}
	_, err := w.store.CreateKey(ctx, "strict", &aftertouchv1.Key{
		KeyId: "strict", Version: 1, Kind: aftertouchv1.Key_web,
		Scopes: []string{"collect"}, Origins: []string{"*"},
	}, strictKey, "test")
	errs = append(errs, err)
	revoked := privacy.HashAPIKey(revokedKey)
	write("shop", &aftertouchv1.RegistryRecord{KeyHash: revoked[:], Object: &aftertouchv1.RegistryRecord_Key{Key: &aftertouchv1.Key{
		KeyId: "revoked", Version: 2, ReplacesVersion: 1, Kind: aftertouchv1.Key_secret, Scopes: []string{"collect"}, Revoked: true,
	}}})
	for _, ws := range []string{"shop", "other", "strict"} {
		write(ws, &aftertouchv1.RegistryRecord{Object: &aftertouchv1.RegistryRecord_Campaign{Campaign: &aftertouchv1.Campaign{
			CampaignId: "spring", Version: 1, Name: "Spring", Start: event.Time(day(1).UnixMilli()), End: event.Time(day(31).UnixMilli()), Currency: "EUR", TimeZone: "UTC",
		}}})
		for _, creator := range []string{"anna", "ben"} {
			write(ws, &aftertouchv1.RegistryRecord{Object: &aftertouchv1.RegistryRecord_Creator{Creator: &aftertouchv1.Creator{CreatorId: creator, Version: 1, Name: strings.ToUpper(creator), Kind: aftertouchv1.Creator_creator}}})
			write(ws, &aftertouchv1.RegistryRecord{Object: &aftertouchv1.RegistryRecord_Agreement{Agreement: &aftertouchv1.Agreement{
				AgreementId: "a-" + creator, Version: 1, CampaignId: "spring", CreatorId: creator, Relation: aftertouchv1.Agreement_paid,
				Disclosure: &aftertouchv1.Disclosure{Required: true, Form: "#ad"},
			}}})
			write(ws, &aftertouchv1.RegistryRecord{Object: &aftertouchv1.RegistryRecord_Placement{Placement: &aftertouchv1.Placement{PlacementId: "p-" + creator, Version: 1, AgreementId: "a-" + creator, Kind: aftertouchv1.Placement_post, Name: "Post"}}})
			write(ws, &aftertouchv1.RegistryRecord{Object: &aftertouchv1.RegistryRecord_Link{Link: &aftertouchv1.Link{LinkId: ws + "-" + creator, Version: 1, AgreementId: "a-" + creator, PlacementId: "p-" + creator, TargetUrl: "https://shop.example/land?x=1#top"}}})
			write(ws, &aftertouchv1.RegistryRecord{Object: &aftertouchv1.RegistryRecord_Code{Code: &aftertouchv1.Code{Code: strings.ToUpper(creator) + "10", Version: 1, AgreementId: "a-" + creator}}})
		}
	}
	write("shop", &aftertouchv1.RegistryRecord{Object: &aftertouchv1.RegistryRecord_Agreement{Agreement: &aftertouchv1.Agreement{
		AgreementId: "a-ben", Version: 2, ReplacesVersion: 1, CampaignId: "spring", CreatorId: "ben", EffectiveFrom: event.Time(day(14).UnixMilli()),
	}}})
	for version, revoked := range []bool{false, true} {
		write("shop", &aftertouchv1.RegistryRecord{Object: &aftertouchv1.RegistryRecord_Link{Link: &aftertouchv1.Link{
			LinkId: "gone", Version: uint32(version) + 1,
			ReplacesVersion: uint32(version), AgreementId: "a-anna", TargetUrl: "https://shop.example/", Revoked: revoked,
		}}})
	}
	return errors.Join(errs...)
}

// rig is a collector on real ports in front of the shared broker.
type rig struct {
	t         testing.TB
	world     *world
	collector *Collector
	registry  *prometheus.Registry
	log       *faultyLog
	http      *httptest.Server
	grpc      *grpc.ClientConn
	clock     atomic.Int64 // Unix ms
	from      map[int]int64
	stop      func() error
}

// faultyLog is the real writer with a switch.
type faultyLog struct {
	Appender
	down  atomic.Bool
	slow  atomic.Int64 // nanoseconds
	calls atomic.Int64
}

var errDown = errors.New("brokers are down")

func (f *faultyLog) Append(ctx context.Context, recs []eventlog.Record) error {
	f.calls.Add(1)
	if d := f.slow.Load(); d > 0 {
		select {
		case <-time.After(time.Duration(d)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if f.down.Load() {
		return errDown
	}
	return f.Appender.Append(ctx, recs)
}

func newRig(t testing.TB, change ...func(*Config)) *rig {
	t.Helper()
	w, err := sharedWorld()
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, world: w, registry: prometheus.NewRegistry(), log: &faultyLog{}, from: map[int]int64{}}
	r.clock.Store(now.UnixMilli())
	writer, err := eventlog.NewWriter(w.client, eventlog.WriterConfig{Epoch: w.epoch}, r.registry, quiet)
	if err != nil {
		t.Fatal(err)
	}
	r.log.Appender = writer
	cfg := Default()
	for _, f := range change {
		f(&cfg)
	}
	r.collector, err = New(cfg, Deps{
		Registry: w.view, Log: r.log, Registerer: r.registry, Logger: quiet,
		Clock: func() time.Time { return time.UnixMilli(r.clock.Load()) },
	})
	if err != nil {
		t.Fatal(err)
	}
	r.markEnd()
	r.serve()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.collector.Run(ctx) }()
	r.stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Errorf("collector ended with %v", err)
		}
		closing, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := writer.Close(closing); err != nil {
			t.Error(err)
		}
	})
	return r
}

func (r *rig) serve() {
	mux := http.NewServeMux()
	r.collector.RegisterHTTP(mux)
	r.http = httptest.NewServer(mux)
	r.t.Cleanup(r.http.Close)
	server := grpc.NewServer(grpccodec.ServerOption(), grpc.MaxRecvMsgSize(4<<20))
	r.collector.RegisterGRPC(server)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	go server.Serve(listener) //nolint:errcheck // it ends with Stop
	r.t.Cleanup(server.Stop)
	r.grpc, err = grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()), grpccodec.DialOption())
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { r.grpc.Close() })
}

// markEnd makes logged return only what comes after.
func (r *rig) markEnd() {
	for p := range r.world.epoch.Partitions {
		_, end, err := r.world.client.Partition(r.world.epoch.Topic, p, r.world.epoch.ID).Range(context.Background())
		if err != nil {
			r.t.Fatal(err)
		}
		r.from[p] = end
	}
}

// logged returns the records of the log since the rig began or the last markEnd, by key.
func (r *rig) logged() map[string][]*event.Record {
	r.t.Helper()
	all := map[string][]*event.Record{}
	for p := range r.world.epoch.Partitions {
		partition := r.world.client.Partition(r.world.epoch.Topic, p, r.world.epoch.ID)
		_, end, err := partition.Range(context.Background())
		if err != nil {
			r.t.Fatal(err)
		}
		for next := r.from[p]; next < end; {
			msgs, err := partition.Read(context.Background(), next, eventlog.ReadLimits{})
			if err != nil {
				r.t.Fatal(err)
			}
			for _, m := range msgs {
				rec := &event.Record{}
				if err := event.Decode(m.Key, m.Value, rec); err != nil {
					r.t.Fatalf("undecodable record %q: %v", m.Key, err)
				}
				all[string(m.Key)] = append(all[string(m.Key)], rec)
				next = m.Offset + 1
			}
		}
	}
	return all
}

// only returns the one event that was logged under the key.
func (r *rig) only(key string) *aftertouchv1.Event {
	r.t.Helper()
	all := r.logged()
	if len(all[key]) != 1 || all[key][0].Event == nil {
		keys := []string{}
		for k := range all {
			keys = append(keys, k)
		}
		r.t.Fatalf("%d records under %q; the log has %q", len(all[key]), key, keys)
	}
	return all[key][0].Event
}

type answerJSON struct {
	Results []struct {
		EventID string `json:"event_id"`
		Status  string `json:"status"`
		Reason  string `json:"reason"`
		Detail  string `json:"detail"`
	} `json:"results"`
	Reason string `json:"reason"`
	Detail string `json:"detail"`
}

// post sends a body to /v1/events.
func (r *rig) post(key, body string, headers ...string) (int, answerJSON, http.Header) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, r.http.URL+"/v1/events", strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+key)
	return r.do(req, headers...)
}

func (r *rig) do(req *http.Request, headers ...string) (int, answerJSON, http.Header) {
	r.t.Helper()
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, Timeout: 20 * time.Second}
	res, err := client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	var answer answerJSON
	if strings.HasPrefix(res.Header.Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(body, &answer); err != nil {
			r.t.Fatalf("%s: %v", body, err)
		}
	}
	res.Header.Set("Test-Body", string(bytes.ReplaceAll(body, []byte("\n"), nil)))
	return res.StatusCode, answer, res.Header
}

// get requests a path with headers in pairs.
func (r *rig) get(path string, headers ...string) (int, answerJSON, http.Header) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, r.http.URL+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.do(req, headers...)
}

// metric returns a counter's value.
func (r *rig) metric(name string, labels ...string) float64 {
	r.t.Helper()
	families, err := r.registry.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
	next:
		for _, m := range f.GetMetric() {
			have := map[string]string{}
			for _, l := range m.GetLabel() {
				have[l.GetName()] = l.GetValue()
			}
			for i := 0; i < len(labels); i += 2 {
				if have[labels[i]] != labels[i+1] {
					continue next
				}
			}
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return sum
}

// eventually waits for a condition, for at most 10 s.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited 10 s: %s", what)
		}
	}
}
