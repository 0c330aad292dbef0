package registry

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/timestamppb"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/embedded/embeddedtest"
	"github.com/aftertouch-io/aftertouch/internal/eventlog"
	"github.com/aftertouch-io/aftertouch/internal/privacy"
	"github.com/aftertouch-io/aftertouch/internal/registry"
)

// fixture is an installation: one broker, any number of processes.
type fixture struct {
	t      *testing.T
	kafka  *eventlog.Client
	keys   registry.BootstrapKeys
	client aftertouchv1.RegistryServiceClient
	view   *registry.View
	// service is the first process's.
	service *Service
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	c, err := eventlog.NewClient(eventlog.ClientConfig{Brokers: embeddedtest.Kafka(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if err := eventlog.EnsureTopics(t.Context(), c, eventlog.TopicSettings{Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t, kafka: c}
	var store *registry.Store
	store, f.client = f.process()
	f.view = store.View()
	if f.keys, err = registry.Bootstrap(t.Context(), store, registry.BootstrapOptions{Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	return f
}

// process starts a process with a view and a server of its own.
func (f *fixture) process() (*registry.Store, aftertouchv1.RegistryServiceClient) {
	t := f.t
	t.Helper()
	master, err := privacy.NewMasterKey(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	view, err := registry.NewView(f.kafka, master, prometheus.NewRegistry(), log)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- view.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	ready, stop := context.WithTimeout(ctx, 10*time.Second)
	defer stop()
	if err := view.WaitReady(ready); err != nil {
		t.Fatal(err)
	}
	store := registry.NewStore(f.kafka, view, master)
	s, err := New(Default(), store, prometheus.NewRegistry(), log)
	if err != nil {
		t.Fatal(err)
	}
	if f.service == nil {
		f.service = s
	}
	return store, serve(t, s)
}

func serve(t *testing.T, s *Service) aftertouchv1.RegistryServiceClient {
	t.Helper()
	lis := bufconn.Listen(1 << 20)
	server := grpc.NewServer()
	s.RegisterGRPC(server)
	go func() { _ = server.Serve(lis) }()
	t.Cleanup(server.Stop)
	conn, err := grpc.NewClient("passthrough:///registry", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return lis.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return aftertouchv1.NewRegistryServiceClient(conn)
}

// as returns a context that calls with the key.
func (f *fixture) as(key string) context.Context {
	return metadata.AppendToOutgoingContext(f.t.Context(), "authorization", "Bearer "+key)
}

func (f *fixture) admin() context.Context { return f.as(f.keys.AdminKey) }

func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// wantReason checks an error's machine-readable reason, and returns its metadata.
func wantReason(t *testing.T, err error, reason string) map[string]string {
	t.Helper()
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			if info.Reason != reason || info.Domain != "aftertouch" {
				t.Errorf("reason %q of %q, want %q: %v", info.Reason, info.Domain, reason, err)
			}
			return info.Metadata
		}
	}
	t.Errorf("no reason in %v, want %q", err, reason)
	return nil
}

var day0 = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

func day(n int) *timestamppb.Timestamp { return timestamppb.New(day0.AddDate(0, 0, n)) }

// withAgreement makes creator "mia", campaign "spring" and agreement "a" of the two.
func (f *fixture) withAgreement() *fixture {
	t, ctx := f.t, f.admin()
	t.Helper()
	must[*aftertouchv1.Creator](t)(f.client.CreateCreator(ctx, &aftertouchv1.Creator{CreatorId: "mia", Name: "Mia"}))
	must[*aftertouchv1.Campaign](t)(f.client.CreateCampaign(ctx, &aftertouchv1.Campaign{CampaignId: "spring", Start: day(0), End: day(30), Currency: "eur"}))
	must[*aftertouchv1.Agreement](t)(f.client.CreateAgreement(ctx, &aftertouchv1.Agreement{AgreementId: "a", CampaignId: "spring", CreatorId: "mia", Relation: aftertouchv1.Agreement_paid}))
	return f
}
