package collector

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/apijson"
	"github.com/aftertouch-io/aftertouch/internal/event"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
)

func withKey(ctx context.Context, key string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+key)
}

func visitOf(visitor, id string) *aftertouchv1.Event {
	return &aftertouchv1.Event{EventId: id, VisitorId: visitor, Kind: &aftertouchv1.Event_Visit{Visit: &aftertouchv1.Visit{}}}
}

// rawRequest is a CollectRequest with the given encodings of events.
type rawRequest struct{ events [][]byte }

func (r *rawRequest) WriteMessage() (b []byte, err error) {
	for _, e := range r.events {
		b = protowire.AppendBytes(protowire.AppendTag(b, 1, protowire.BytesType), e)
	}
	return b, nil
}

func encoded(t testing.TB, e *aftertouchv1.Event) []byte {
	b, err := e.MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestCollectAnswersEachEvent(t *testing.T) {
	r := newRig(t)
	var out aftertouchv1.CollectResponse
	in := &rawRequest{events: [][]byte{
		encoded(t, visitOf("g1", "g1")),
		{0xff, 0xff, 0xff},
		encoded(t, &aftertouchv1.Event{EventId: "bad\xff", Kind: &aftertouchv1.Event_Visit{}}),
		encoded(t, &aftertouchv1.Event{EventId: "big", PageUrl: strings.Repeat("x", event.MaxEventBytes), Kind: &aftertouchv1.Event_Visit{}}),
		encoded(t, &aftertouchv1.Event{EventId: "neg", Kind: &aftertouchv1.Event_Conversion{Conversion: &aftertouchv1.Conversion{Action: "buy", ValueMinor: -1}}}),
		append(encoded(t, visitOf("g2", "g2")), protowire.AppendString(protowire.AppendTag(nil, 999, protowire.BytesType), "jo@example.com")...),
	}}
	if err := r.grpc.Invoke(withKey(t.Context(), secretKey), aftertouchv1.CollectorService_Collect_FullMethodName, in, &out); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, res := range out.Results {
		got = append(got, fmt.Sprintf("%s/%s/%s", res.EventId, res.Status, res.Reason))
		if (res.Detail == "") != (res.Status == aftertouchv1.CollectResult_ok) {
			t.Errorf("%v", res)
		}
	}
	want := "g1/ok/ /refused/malformed /refused/malformed /refused/event_too_large neg/refused/negative_value g2/ok/"
	if strings.Join(got, " ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, " "), want)
	}
	r.only("shop/v:g1")
	if e := r.only("shop/v:g2"); len(e.ProtoReflect().GetUnknown()) != 0 {
		t.Error("an unknown field is stored")
	}
}

// Clients with the ordinary codec, and other languages, speak the same wire format.
func TestOrdinaryClient(t *testing.T) {
	r := newRig(t)
	conn, err := grpc.NewClient(r.grpc.Target(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	out, err := aftertouchv1.NewCollectorServiceClient(conn).Collect(withKey(t.Context(), secretKey), &aftertouchv1.CollectRequest{Events: []*aftertouchv1.Event{visitOf("o1", "")}})
	if err != nil || len(out.Results) != 1 || out.Results[0].Status != aftertouchv1.CollectResult_ok || out.Results[0].EventId == "" {
		t.Fatalf("%v, %v", out, err)
	}
	r.only("shop/v:o1")
}

func TestCollectRefusesWholeCalls(t *testing.T) {
	r := newRig(t)
	client := aftertouchv1.NewCollectorServiceClient(r.grpc)
	many := &aftertouchv1.CollectRequest{Events: make([]*aftertouchv1.Event, event.MaxBatchEvents+1)}
	for i := range many.Events {
		many.Events[i] = &aftertouchv1.Event{}
	}
	big := &aftertouchv1.CollectRequest{}
	for range 80 {
		big.Events = append(big.Events, &aftertouchv1.Event{PageUrl: strings.Repeat("x", 15000)})
	}
	one := &aftertouchv1.CollectRequest{Events: []*aftertouchv1.Event{visitOf("x", "x")}}
	for name, c := range map[string]struct {
		key    string
		in     *aftertouchv1.CollectRequest
		code   codes.Code
		reason string
	}{
		"unknown key":     {"ats_nobody_has_this_key1", one, codes.Unauthenticated, "unknown_key"},
		"revoked key":     {revokedKey, one, codes.Unauthenticated, "revoked_key"},
		"wrong scope":     {readKey, one, codes.PermissionDenied, "wrong_scope"},
		"bound key":       {boundKey, one, codes.PermissionDenied, "origin_refused"},
		"too many events": {secretKey, many, codes.InvalidArgument, "batch_too_large"},
		"too many bytes":  {secretKey, big, codes.InvalidArgument, "batch_too_large"},
	} {
		_, err := client.Collect(withKey(t.Context(), c.key), c.in)
		if status.Code(err) != c.code || apijson.ErrorOf(err).Reason != c.reason {
			t.Errorf("%s: got %v, want %s %s", name, err, c.code, c.reason)
		}
		stream, err := client.CollectStream(withKey(t.Context(), c.key))
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.Send(&aftertouchv1.CollectStreamRequest{Events: c.in.Events}); err != nil {
			t.Fatal(err)
		}
		out, err := stream.Recv()
		if c.code == codes.InvalidArgument {
			// A stream answers and goes on.
			if err != nil || out.Results[0].Status != aftertouchv1.CollectResult_refused || out.Results[0].Reason != c.reason {
				t.Errorf("%s, stream: %v, %v", name, out, err)
			}
			if err := stream.Send(&aftertouchv1.CollectStreamRequest{Events: one.Events}); err != nil {
				t.Fatal(err)
			}
			if out, err = stream.Recv(); err != nil || out.Results[0].Status != aftertouchv1.CollectResult_ok {
				t.Errorf("%s, next batch of the stream: %v, %v", name, out, err)
			}
			continue
		}
		if status.Code(err) != c.code || apijson.ErrorOf(err).Reason != c.reason {
			t.Errorf("%s, stream: got %v, want %s %s", name, err, c.code, c.reason)
		}
	}
	var out aftertouchv1.CollectResponse
	err := r.grpc.Invoke(withKey(t.Context(), secretKey), aftertouchv1.CollectorService_Collect_FullMethodName, &brokenRequest{}, &out)
	if status.Code(err) != codes.InvalidArgument || apijson.ErrorOf(err).Reason != "malformed" {
		t.Errorf("broken protobuf: %v", err)
	}
}

// brokenRequest is no protobuf message.
type brokenRequest struct{}

func (*brokenRequest) WriteMessage() ([]byte, error) { return []byte("\x0a\xff\xff"), nil }

func TestStreamAnswersInOrderWithSeveralBatchesInFlight(t *testing.T) {
	r := newRig(t)
	r.log.slow.Store(int64(100 * time.Millisecond))
	stream, err := aftertouchv1.NewCollectorServiceClient(r.grpc).CollectStream(withKey(t.Context(), secretKey))
	if err != nil {
		t.Fatal(err)
	}
	const batches, each = 40, 25
	began := time.Now()
	go func() {
		for i := range batches {
			in := &aftertouchv1.CollectStreamRequest{}
			for j := range each {
				in.Events = append(in.Events, visitOf(fmt.Sprintf("st-%d", j), fmt.Sprintf("%d-%d", i, j)))
			}
			if err := stream.Send(in); err != nil {
				t.Error(err)
			}
		}
		if err := stream.CloseSend(); err != nil {
			t.Error(err)
		}
	}()
	for i := range batches {
		out, err := stream.Recv()
		if err != nil || len(out.Results) != each {
			t.Fatalf("answer %d: %v, %v", i, out, err)
		}
		for j, res := range out.Results {
			if want := fmt.Sprintf("%d-%d", i, j); res.EventId != want || res.Status != aftertouchv1.CollectResult_ok {
				t.Fatalf("answer %d, result %d: %v", i, j, res)
			}
		}
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("after the last answer: %v", err)
	}
	if took := time.Since(began); took > batches*100*time.Millisecond/2 {
		t.Errorf("took %v: batches are not in flight together", took)
	}
	total := 0
	for _, recs := range r.logged() {
		total += len(recs)
	}
	if total != batches*each {
		t.Errorf("%d of %d events are in the log", total, batches*each)
	}
}

func TestStreamHoldsBackAClientThatIsTooFast(t *testing.T) {
	r := newRig(t, func(c *Config) { c.StreamWindow, c.AppendTimeout = 2, 2*time.Second })
	r.log.slow.Store(int64(time.Hour))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream, err := aftertouchv1.NewCollectorServiceClient(r.grpc).CollectStream(withKey(ctx, secretKey))
	if err != nil {
		t.Fatal(err)
	}
	in := &aftertouchv1.CollectStreamRequest{}
	for range 60 {
		in.Events = append(in.Events, &aftertouchv1.Event{PageUrl: "https://a/" + strings.Repeat("x", 15000), Kind: &aftertouchv1.Event_Visit{}})
	}
	sent := make(chan int, 1000)
	go func() {
		for i := range 100 {
			if stream.Send(in) != nil {
				return
			}
			sent <- i
		}
	}()
	time.Sleep(time.Second)
	if n := len(sent); n > 20 {
		t.Errorf("the client could send %d batches of 900 KB into a window of 2", n)
	}
	if n := r.log.calls.Load(); n > 5 {
		t.Errorf("%d batches in flight in a window of 2", n)
	}
	r.log.slow.Store(0)
	cancel()
}

func TestRevokedKeyEndsItsStream(t *testing.T) {
	r := newRig(t)
	secret, err := r.world.store.CreateKey(t.Context(), "shop", &aftertouchv1.Key{KeyId: "short-lived", Version: 1, Kind: aftertouchv1.Key_secret, Scopes: []string{"collect"}}, "", "test")
	if err != nil {
		t.Fatal(err)
	}
	stream, err := aftertouchv1.NewCollectorServiceClient(r.grpc).CollectStream(withKey(t.Context(), secret))
	if err != nil {
		t.Fatal(err)
	}
	in := &aftertouchv1.CollectStreamRequest{Events: []*aftertouchv1.Event{visitOf("rk", "")}}
	if err := stream.Send(in); err != nil {
		t.Fatal(err)
	}
	if out, err := stream.Recv(); err != nil || out.Results[0].Status != aftertouchv1.CollectResult_ok {
		t.Fatalf("%v, %v", out, err)
	}
	if err := r.world.store.Write(t.Context(), "shop", &aftertouchv1.RegistryRecord{Object: &aftertouchv1.RegistryRecord_Key{Key: &aftertouchv1.Key{
		KeyId: "short-lived", Version: 2, ReplacesVersion: 1, Kind: aftertouchv1.Key_secret, Scopes: []string{"collect"}, Revoked: true,
	}}}); err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(in); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); apijson.ErrorOf(err).Reason != "revoked_key" {
		t.Errorf("after revocation: %v", err)
	}
}

func TestDrainEndsStreamsAfterTheirAnswers(t *testing.T) {
	r := newRig(t)
	r.log.slow.Store(int64(200 * time.Millisecond))
	client := aftertouchv1.NewCollectorServiceClient(r.grpc)
	idle, err := client.CollectStream(withKey(t.Context(), secretKey))
	if err != nil {
		t.Fatal(err)
	}
	busy, err := client.CollectStream(withKey(t.Context(), secretKey))
	if err != nil {
		t.Fatal(err)
	}
	if err := busy.Send(&aftertouchv1.CollectStreamRequest{Events: []*aftertouchv1.Event{visitOf("dr", "dr1")}}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the batch is on its way", func() bool { return r.log.calls.Load() > 0 })
	stopped := make(chan error, 1)
	go func() { stopped <- r.stop() }()
	if out, err := busy.Recv(); err != nil || out.Results[0].Status != aftertouchv1.CollectResult_ok {
		t.Errorf("batch in flight: %v, %v", out, err)
	}
	for name, stream := range map[string]aftertouchv1.CollectorService_CollectStreamClient{"busy": busy, "idle": idle} {
		if _, err := stream.Recv(); status.Code(err) != codes.Unavailable || apijson.ErrorOf(err).Reason != "draining" {
			t.Errorf("%s stream: %v", name, err)
		}
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	r.only("shop/v:dr")
}
