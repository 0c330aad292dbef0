package registry

import (
	"bytes"
	"context"
	"log/slog"
	"testing"
	"time"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/embedded/embeddedtest"
	"github.com/aftertouch-io/aftertouch/internal/eventlog"
	"github.com/aftertouch-io/aftertouch/internal/privacy"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/types/known/timestamppb"
)

func testClient(t testing.TB) *eventlog.Client {
	t.Helper()
	return clientOf(t, embeddedtest.Kafka(t))
}

func clientOf(t testing.TB, brokers []string) *eventlog.Client {
	t.Helper()
	c, err := eventlog.NewClient(eventlog.ClientConfig{Brokers: brokers, MetadataTTL: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if err := eventlog.EnsureTopics(t.Context(), c, eventlog.TopicSettings{Partitions: 2}); err != nil {
		t.Fatal(err)
	}
	return c
}

func testMaster(t testing.TB, fill byte) *privacy.MasterKey {
	t.Helper()
	m, err := privacy.NewMasterKey(bytes.Repeat([]byte{fill}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// runView starts a view and waits until it is ready.
func runView(t testing.TB, c *eventlog.Client) *View {
	t.Helper()
	v, err := NewView(c, testMaster(t, 1), prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- v.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("view ended with %v", err)
		}
	})
	ready, stop := context.WithTimeout(ctx, 10*time.Second)
	defer stop()
	if err := v.WaitReady(ready); err != nil {
		t.Fatal(err)
	}
	return v
}

func runStore(t testing.TB, c *eventlog.Client) *Store {
	t.Helper()
	return NewStore(c, runView(t, c), testMaster(t, 1))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var day0 = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

func day(n int) *timestamppb.Timestamp { return timestamppb.New(day0.AddDate(0, 0, n)) }

func dayMs(n int) int64 { return day0.AddDate(0, 0, n).UnixMilli() }

func creatorRecord(version uint32, name string) *aftertouchv1.RegistryRecord {
	return &aftertouchv1.RegistryRecord{Object: &aftertouchv1.RegistryRecord_Creator{Creator: &aftertouchv1.Creator{
		CreatorId: "mia", Version: version, ReplacesVersion: version - 1, Name: name, Kind: aftertouchv1.Creator_creator,
	}}}
}

func campaignRecord(c *aftertouchv1.Campaign) *aftertouchv1.RegistryRecord {
	return &aftertouchv1.RegistryRecord{Object: &aftertouchv1.RegistryRecord_Campaign{Campaign: c}}
}

func agreementRecord(a *aftertouchv1.Agreement) *aftertouchv1.RegistryRecord {
	return &aftertouchv1.RegistryRecord{Object: &aftertouchv1.RegistryRecord_Agreement{Agreement: a}}
}

func linkRecord(l *aftertouchv1.Link) *aftertouchv1.RegistryRecord {
	return &aftertouchv1.RegistryRecord{Object: &aftertouchv1.RegistryRecord_Link{Link: l}}
}

func newWorkspace(t testing.TB, s *Store, id string) {
	t.Helper()
	must(t, s.CreateWorkspace(t.Context(), &aftertouchv1.Workspace{WorkspaceId: id, Version: 1, Name: id, TimeZone: "UTC"}, "test"))
}

func springCampaign() *aftertouchv1.Campaign {
	return &aftertouchv1.Campaign{CampaignId: "spring", Version: 1, Name: "Spring", Start: day(0), End: day(30), Currency: "EUR", TimeZone: "UTC"}
}
