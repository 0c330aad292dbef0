package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/apijson"
)

// dial connects to the server; calls carry the key.
func (c *scene) dial(t *testing.T, key string) (context.Context, *grpc.ClientConn) {
	t.Helper()
	conn, err := grpc.NewClient(c.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(8<<20)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+key), conn
}

// raw is a message that is on the wire already.
type raw []byte

// rawCodec sends and receives raw messages.
type rawCodec struct{}

func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(v any) ([]byte, error) {
	if r, ok := v.(*raw); ok {
		return *r, nil
	}
	return nil, fmt.Errorf("%T is not raw", v)
}

func (rawCodec) Unmarshal(data []byte, v any) error {
	*v.(*raw) = slices.Clone(data)
	return nil
}

// testReasonsByGRPC sends one event of each fate between two good ones, as a batch and on a stream.
func (c *scene) testReasonsByGRPC(t *testing.T, keys map[string]string) {
	ctx, conn := c.dial(t, keys[""])
	client := aftertouchv1.NewCollectorServiceClient(conn)
	var events []*aftertouchv1.Event
	var want []string
	for i, r := range c.refusals() {
		text, err := json.Marshal(r.event)
		if err != nil {
			t.Fatal(err)
		}
		bad := &aftertouchv1.Event{}
		if _, err := apijson.Unmarshal(text, bad); err != nil {
			t.Fatalf("%v: %v", r.event, err)
		}
		events = append(events, &aftertouchv1.Event{EventId: fmt.Sprintf("good-grpc-%d", i), Kind: &aftertouchv1.Event_Visit{Visit: &aftertouchv1.Visit{}}}, bad)
		want = append(want, "ok ", "refused "+r.reason)
	}
	words := func(results []*aftertouchv1.CollectResult) (words []string) {
		for _, r := range results {
			words = append(words, r.Status.String()+" "+r.Reason)
		}
		return words
	}
	answer, err := client.Collect(ctx, &aftertouchv1.CollectRequest{Events: events})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, words(answer.Results)); diff != "" {
		t.Errorf("Collect (-want +got):\n%s", diff)
	}
	stream, err := client.CollectStream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	// All are sent before the first is answered; a batch that is too large costs no other.
	batches := [][]*aftertouchv1.Event{events, slices.Repeat(events[:1], 1001), events[:1]}
	for _, batch := range batches {
		if err := stream.Send(&aftertouchv1.CollectStreamRequest{Events: batch}); err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range [][]string{want, slices.Repeat([]string{"refused batch_too_large"}, 1001), {"ok "}} {
		answer, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, words(answer.Results)); diff != "" {
			t.Errorf("batch %d of the stream (-want +got):\n%.2000s", i, diff)
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("the stream ended with %v", err)
	}
}

// wantStatus checks a gRPC error's code and machine-readable reason.
func wantStatus(t *testing.T, what string, err error, code codes.Code, reason string) {
	t.Helper()
	got := ""
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			got = info.Reason
		}
	}
	if status.Code(err) != code || got != reason {
		t.Errorf("%s: %v with reason %q, want %s with %s", what, err, got, code, reason)
	}
}

// testGRPC calls what is beside collecting, and what cannot be decoded.
func (c *scene) testGRPC(t *testing.T, keys map[string]string) {
	ctx, conn := c.dial(t, c.key)
	// One good event and one that is no protobuf message.
	good, err := (&aftertouchv1.Event{EventId: "beside-garbage", Kind: &aftertouchv1.Event_Visit{Visit: &aftertouchv1.Visit{}}}).MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	request := raw(protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), good))
	request = protowire.AppendBytes(protowire.AppendTag(request, 1, protowire.BytesType), []byte{0xff, 0xff, 0xff})
	method := aftertouchv1.CollectorService_Collect_FullMethodName
	var answer raw
	if err := conn.Invoke(ctx, method, &request, &answer, grpc.ForceCodec(rawCodec{})); err != nil {
		t.Fatal(err)
	}
	var results aftertouchv1.CollectResponse
	if err := results.UnmarshalVT(answer); err != nil {
		t.Fatal(err)
	}
	if len(results.Results) != 2 || results.Results[0].Status != aftertouchv1.CollectResult_ok || results.Results[1].Reason != "malformed" {
		t.Errorf("a good event beside garbage: %v", results.Results)
	}
	garbage := raw{0xff, 0xff}
	wantStatus(t, "garbage", conn.Invoke(ctx, method, &garbage, &answer, grpc.ForceCodec(rawCodec{})), codes.InvalidArgument, "malformed")
	large := &aftertouchv1.CollectRequest{Events: slices.Repeat([]*aftertouchv1.Event{{Kind: &aftertouchv1.Event_Visit{Visit: &aftertouchv1.Visit{}}}}, 1001)}
	_, err = aftertouchv1.NewCollectorServiceClient(conn).Collect(ctx, large)
	wantStatus(t, "1,001 events", err, codes.InvalidArgument, "batch_too_large")

	query, registry := aftertouchv1.NewQueryServiceClient(conn), aftertouchv1.NewRegistryServiceClient(conn)
	_, err = query.Performance(ctx, &aftertouchv1.Parameters{Campaign: "nowhere"})
	wantStatus(t, "an unknown campaign", err, codes.NotFound, "not_found")
	if answer, err := query.Health(ctx, &aftertouchv1.Parameters{}); err != nil || answer.Report != "health" {
		t.Errorf("health: %v %v", answer, err)
	}
	if answer, err := registry.GetCreator(ctx, &aftertouchv1.GetRequest{Id: "ana"}); err != nil || answer.Kind != aftertouchv1.Creator_creator {
		t.Errorf("GetCreator: %v %v", answer, err)
	}
	_, err = registry.CreateCreator(ctx, &aftertouchv1.Creator{CreatorId: "ana"})
	wantStatus(t, "a creator that exists", err, codes.AlreadyExists, "already_exists")
	for reason, code := range map[string]codes.Code{
		"unknown_key": codes.Unauthenticated, "revoked_key": codes.Unauthenticated, "wrong_scope": codes.PermissionDenied, "origin_refused": codes.PermissionDenied,
	} {
		ctx, conn := c.dial(t, keys[reason])
		_, err := aftertouchv1.NewCollectorServiceClient(conn).Collect(ctx, &aftertouchv1.CollectRequest{})
		wantStatus(t, "Collect", err, code, reason)
		stream, err := aftertouchv1.NewCollectorServiceClient(conn).CollectStream(ctx)
		if err == nil {
			err = stream.Send(&aftertouchv1.CollectStreamRequest{})
		}
		if err == nil {
			_, err = stream.Recv()
		}
		wantStatus(t, "CollectStream", err, code, reason)
	}
	if answer, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{}); err != nil || answer.Status != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Errorf("health service: %v %v", answer, err)
	}
	reflection, err := grpc_reflection_v1.NewServerReflectionClient(conn).ServerReflectionInfo(ctx)
	if err == nil {
		err = reflection.Send(&grpc_reflection_v1.ServerReflectionRequest{MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_FileContainingSymbol{
			FileContainingSymbol: "aftertouch.v1.CollectorService",
		}})
	}
	if err != nil {
		t.Fatal(err)
	}
	if described, err := reflection.Recv(); err != nil || len(described.GetFileDescriptorResponse().GetFileDescriptorProto()) == 0 {
		t.Errorf("reflection: %v %v", described, err)
	}
}
