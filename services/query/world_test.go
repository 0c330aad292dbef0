package query_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/attribution"
	"github.com/aftertouch-io/aftertouch/internal/embedded/embeddedtest"
	"github.com/aftertouch-io/aftertouch/internal/event"
	"github.com/aftertouch-io/aftertouch/internal/eventlog"
	"github.com/aftertouch-io/aftertouch/internal/privacy"
	"github.com/aftertouch-io/aftertouch/internal/registry"
	"github.com/aftertouch-io/aftertouch/internal/store"
	"github.com/aftertouch-io/aftertouch/internal/store/storetest"
	"github.com/aftertouch-io/aftertouch/services/query"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/timestamppb"
)

const (
	shop     = storetest.Workspace
	adminKey = "ats_query_test_admin_key_0123456789"
	readKey  = "ats_query_test_read_key_0123456789"
	webKey   = "atw_query_test_web_key_0123456789"
	revoked  = "ats_query_test_revoked_key_0123456789"
)

// now is the time of day of the service under test: 2026-05-01 12:00 UTC.
var now = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// days returns the time d days before now.
func daysAgo(d float64) time.Time {
	return now.Add(-time.Duration(d * 24 * float64(time.Hour))).Truncate(time.Millisecond)
}

// world is a service over an engine of its own, and the rows that were put into it.
type world struct {
	t       *testing.T
	store   *store.Store
	view    *registry.View
	service *query.Service
	http    *httptest.Server
	deriver *store.Deriver
	metrics *prometheus.Registry
	effects attribution.Effects
	offset  int64
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, store: storetest.Open(t), view: testRegistry(t), metrics: prometheus.NewRegistry()}
	var err error
	w.service, err = query.New(query.Default(), query.Deps{
		Store: w.store, Registry: w.view, Registerer: w.metrics, Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Clock:   func() time.Time { return now },
		LogEnds: func(context.Context) (map[int32]int64, error) { return map[int32]int64{1: w.offset + 5}, nil },
	})
	must(t, err)
	mux := http.NewServeMux()
	must(t, w.service.RegisterHTTP(mux))
	w.http = httptest.NewServer(mux)
	t.Cleanup(w.http.Close)
	w.deriver, err = store.NewDeriver(w.store.Conn(), store.DefaultDeriver(), nil, slog.New(slog.DiscardHandler))
	must(t, err)
	return w
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// testRegistry returns a view of a registry with one workspace, two campaigns and three creators.
func testRegistry(t testing.TB) *registry.View {
	t.Helper()
	client, err := eventlog.NewClient(eventlog.ClientConfig{Brokers: embeddedtest.Kafka(t)})
	must(t, err)
	t.Cleanup(client.Close)
	must(t, eventlog.EnsureTopics(t.Context(), client, eventlog.TopicSettings{Partitions: 1}))
	master, err := privacy.NewMasterKey(bytes.Repeat([]byte{1}, 32))
	must(t, err)
	view, err := registry.NewView(client, master, prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- view.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the registry's view ended with %v", err)
		}
	})
	must(t, view.WaitReady(storetest.Context(t)))
	fillRegistry(t, registry.NewStore(client, view, master))
	return view
}

func fillRegistry(t testing.TB, r *registry.Store) {
	t.Helper()
	ctx := storetest.Context(t)
	must(t, r.CreateWorkspace(ctx, &aftertouchv1.Workspace{WorkspaceId: shop, Version: 1, TimeZone: "Europe/Berlin"}, ""))
	for i, k := range []struct {
		secret, scope string
		kind          aftertouchv1.Key_Kind
		revoked       bool
	}{
		{adminKey, "admin", aftertouchv1.Key_secret, false},
		{readKey, "read", aftertouchv1.Key_secret, false},
		{webKey, "collect", aftertouchv1.Key_web, false},
		{revoked, "admin", aftertouchv1.Key_secret, true},
	} {
		key := &aftertouchv1.Key{KeyId: fmt.Sprint("k", i), Version: 1, Kind: k.kind, Scopes: []string{k.scope}, Revoked: k.revoked, Origins: []string{"*"}}
		_, err := r.CreateKey(ctx, shop, key, k.secret, "")
		must(t, err)
	}
	for _, id := range []string{"ann", "bob", "cy", "creator0", "creator20"} {
		must(t, r.Write(ctx, shop, &aftertouchv1.RegistryRecord{Object: &aftertouchv1.RegistryRecord_Creator{
			Creator: &aftertouchv1.Creator{CreatorId: id, Version: 1, Kind: aftertouchv1.Creator_creator},
		}}))
	}
	for id, zone := range map[string]string{"spring": "", "summer": "Asia/Kathmandu"} {
		must(t, r.Write(ctx, shop, &aftertouchv1.RegistryRecord{Object: &aftertouchv1.RegistryRecord_Campaign{Campaign: &aftertouchv1.Campaign{
			CampaignId: id, Version: 1, Currency: "EUR", TimeZone: zone,
			Start: timestamppb.New(daysAgo(300)), End: timestamppb.New(daysAgo(-300)),
		}}}))
	}
}

// as returns a context with the key.
func (w *world) as(key string) context.Context {
	return metadata.NewIncomingContext(storetest.Context(w.t), metadata.Pairs("authorization", "Bearer "+key))
}

// address reads "v:abc", "u:abc" or "" into an address.
func address(local string) event.Address {
	if local == "" {
		return event.Address{}
	}
	a, err := event.ParseLocal(shop, local)
	if err != nil {
		panic(err)
	}
	return a
}

// touch is a touch event in a test.
type touch struct {
	entity            string // v:abc
	kind              string // click, visit, engagement, viewable, unmeasured, hidden
	creator, campaign string
	link, placement   string
	at                time.Time
	flags             []string
	counted           bool // unmeasured impressions count
}

// fact returns the touch's fact.
func (w *world) fact(x touch) attribution.Fact {
	w.offset++
	e := &aftertouchv1.Event{
		EventId: fmt.Sprintf("e%d", w.offset), EventTime: timestamppb.New(x.at), Link: x.link, Placement: x.placement,
		Stamps: &aftertouchv1.Stamps{ReceivedTime: timestamppb.New(x.at), Flags: x.flags},
	}
	if x.creator != "" {
		campaign := x.campaign
		if campaign == "" {
			campaign = "spring"
		}
		e.Stamps.Terms = &aftertouchv1.Terms{AgreementId: campaign + "-" + x.creator, AgreementVersion: 1, CampaignId: campaign, CreatorId: x.creator}
	}
	switch x.kind {
	case "click":
		e.Kind = &aftertouchv1.Event_Click{Click: &aftertouchv1.Click{}}
	case "visit":
		e.Kind = &aftertouchv1.Event_Visit{Visit: &aftertouchv1.Visit{}}
	case "engagement":
		e.Kind = &aftertouchv1.Event_Engagement{Engagement: &aftertouchv1.Engagement{}}
	default:
		v := map[string]aftertouchv1.Impression_Viewability{
			"viewable": aftertouchv1.Impression_viewable, "unmeasured": aftertouchv1.Impression_unmeasured, "hidden": aftertouchv1.Impression_not_viewable,
		}
		viewability, ok := v[x.kind]
		if !ok {
			w.t.Fatalf("no kind %q", x.kind)
		}
		e.Kind = &aftertouchv1.Event_Impression{Impression: &aftertouchv1.Impression{Viewability: viewability}}
	}
	f := storetest.Fact(address(x.entity), e, w.offset)
	f.LogDay, f.CountUnmeasured = uint16(x.at.Unix()/86400), x.counted
	f.Cause.Partition = 1
	return f
}

func (w *world) touch(x touch) { w.effects.Facts = append(w.effects.Facts, w.fact(x)) }

// link links a visitor or click to a person.
func (w *world) link(from, to string) {
	w.offset++
	w.effects.Identities = append(w.effects.Identities, attribution.Identity{
		From: address(from), To: address(to), Cause: event.Position{Epoch: 1, Partition: 1, Offset: w.offset},
	})
}

// conversion is a conversion in a test.
type conversion struct {
	order, action string // action purchase when empty
	person        string
	at            time.Time
	value         int64
	currency      string
	status        attribution.JourneyStatus // attributed when it has credit, else unattributed: no_touch
	reason        string
	credit        []creditOf
}

// creditOf is what one eligible touch earned, by model; one number stands for all.
type creditOf struct {
	creator, campaign, link string
	before                  time.Duration
	parts                   []uint32
	value                   []int64
}

func (c creditOf) of(m int) (uint32, int64) { return c.parts[m%len(c.parts)], c.value[m%len(c.value)] }

func (w *world) journey(c conversion) attribution.Journey {
	w.offset++
	if c.action == "" {
		c.action = "purchase"
	}
	order := event.OrderAddress(shop, c.action, "", c.order)
	position := event.Position{Epoch: 1, Partition: 1, Offset: w.offset}
	j := attribution.Journey{
		Order: order, Person: address(c.person), Status: c.status, Reason: c.reason, Cause: attribution.CauseNew,
		Conversion: &aftertouchv1.CanonicalConversion{
			Order: order.Local(), Action: c.action, OrderId: c.order, EventId: "event-of-" + c.order,
			Time: c.at.UnixMilli(), ReceivedTime: c.at.UnixMilli(), ValueMinor: c.value, Currency: c.currency, Records: 1,
		},
		OrderPosition: position, Position: position,
	}
	for i, x := range c.credit {
		campaign := x.campaign
		if campaign == "" {
			campaign = "spring"
		}
		t := attribution.JourneyTouch{Eligible: true, Touch: &aftertouchv1.Touch{
			Entity: c.person, EventId: fmt.Sprintf("t%d", i), Kind: aftertouchv1.Touch_click, Time: c.at.Add(-x.before).UnixMilli(),
			AgreementId: campaign + "-" + x.creator, AgreementVersion: 1, CampaignId: campaign, CreatorId: x.creator, LinkId: x.link,
		}}
		for m := range attribution.NumModels {
			t.Credit[m], t.ValueMinor[m] = x.of(m)
		}
		j.Touches = append(j.Touches, t)
	}
	if j.Status == 0 {
		if j.Status = attribution.Attributed; len(c.credit) == 0 {
			j.Status, j.Reason = attribution.Unattributed, attribution.ReasonNoTouch
		}
	}
	return j
}

func (w *world) convert(c conversion) { w.effects.Journeys = append(w.effects.Journeys, w.journey(c)) }

// insert writes what was collected as one batch.
func (w *world) insert() {
	w.t.Helper()
	storetest.Insert(w.t, w.store, &store.Batch{
		Epoch: 1, Partition: 1, From: 0, To: w.offset + 1, Timestamp: now.UnixMilli(), IdentityKey: storetest.Key, Effects: &w.effects,
	})
	w.effects = attribution.Effects{}
}

// derive makes everything anew that is dirty.
func (w *world) derive() {
	w.t.Helper()
	n, err := w.deriver.Refresh(storetest.Context(w.t))
	must(w.t, err)
	if n == 0 {
		w.t.Fatal("there was nothing to derive")
	}
}
