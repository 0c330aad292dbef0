package collector

import (
	"context"
	"errors"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/apijson"
	"github.com/aftertouch-io/aftertouch/internal/event"
	"github.com/aftertouch-io/aftertouch/internal/grpccodec"
	"github.com/aftertouch-io/aftertouch/internal/registry"
	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protowire"
)

// RegisterGRPC registers CollectorService. The server must use [grpccodec.ServerOption]: requests are taken apart without
// being decoded, so that a bad event costs no other (E2).
func (c *Collector) RegisterGRPC(s grpc.ServiceRegistrar) {
	s.RegisterService(&grpc.ServiceDesc{
		ServiceName: aftertouchv1.CollectorService_ServiceDesc.ServiceName,
		HandlerType: (*any)(nil),
		Methods:     []grpc.MethodDesc{{MethodName: "Collect", Handler: unaryHandler}},
		Streams: []grpc.StreamDesc{{
			StreamName: "CollectStream", ServerStreams: true, ClientStreams: true,
			Handler: func(_ any, stream grpc.ServerStream) error { return c.handleStream(stream) },
		}},
		Metadata: aftertouchv1.CollectorService_ServiceDesc.Metadata,
	}, c)
}

//nolint:revive // gRPC fixes the order of the arguments
func unaryHandler(srv any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
	in := new(request)
	if err := decode(in); err != nil {
		return nil, err
	}
	handle := func(ctx context.Context, in any) (any, error) { return srv.(*Collector).collect(ctx, in.(*request)) }
	if interceptor == nil {
		return handle(ctx, in)
	}
	return interceptor(ctx, in, &grpc.UnaryServerInfo{Server: srv, FullMethod: aftertouchv1.CollectorService_Collect_FullMethodName}, handle)
}

// request is a CollectRequest or CollectStreamRequest whose events are not decoded yet. It can be read into again once it is
// freed.
type request struct {
	buffer  mem.Buffer // nil once freed
	size    int
	events  [][]byte // parts of buffer
	problem *problem
}

var _ grpccodec.Reader = (*request)(nil)

// free gives the message's memory back: the events are not valid any more.
func (r *request) free() {
	if r.buffer != nil {
		r.buffer.Free()
		r.buffer = nil
	}
	clear(r.events)
	r.events = r.events[:0]
}

// fieldEvents is the number of events in both requests, and of results in both responses.
const fieldEvents = 1

// ReadMessage splits the message. What is wrong with it is for the handler to answer.
func (r *request) ReadMessage(buffer mem.Buffer) error {
	data := buffer.ReadOnlyData()
	r.buffer, r.size, r.events, r.problem = buffer, len(data), r.events[:0], nil
	if len(data) > event.MaxBatchBytes {
		r.problem = &problem{event.BatchTooLarge, "a batch has at most 1 MiB"}
	}
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			r.problem = &problem{event.Malformed, "the request is not a protobuf message of its type"}
			return nil
		}
		data = data[n:]
		if n = protowire.ConsumeFieldValue(number, kind, data); n < 0 {
			r.problem = &problem{event.Malformed, "the request is not a protobuf message of its type"}
			return nil
		}
		if number == fieldEvents && kind == protowire.BytesType {
			raw, _ := protowire.ConsumeBytes(data)
			r.events = append(r.events, raw)
		}
		data = data[n:]
	}
	if len(r.events) > event.MaxBatchEvents && r.problem == nil {
		r.problem = &problem{event.BatchTooLarge, "a batch has at most 1,000 events"}
	}
	return nil
}

// response is an encoded CollectResponse or CollectStreamResponse.
type response []byte

var _ grpccodec.Writer = response(nil)

// WriteMessage returns the encoding.
func (r response) WriteMessage() ([]byte, error) { return r, nil }

func newResponse(results []result) response {
	size := 0
	for i := range results {
		size += protowire.SizeTag(fieldEvents) + protowire.SizeBytes(results[i].wireSize())
	}
	out := make([]byte, 0, size)
	for i := range results {
		r := &results[i]
		out = protowire.AppendTag(out, fieldEvents, protowire.BytesType)
		out = protowire.AppendVarint(out, uint64(r.wireSize()))
		out = appendString(out, fieldEventID, r.eventID)
		out = protowire.AppendTag(out, fieldStatus, protowire.VarintType)
		out = protowire.AppendVarint(out, uint64(r.status))
		out = appendString(out, fieldReason, r.reason)
		out = appendString(out, fieldDetail, r.detail)
	}
	return out
}

// Field numbers of CollectResult.
const (
	fieldEventID = 1
	fieldStatus  = 2
	fieldReason  = 3
	fieldDetail  = 4
)

func (r *result) wireSize() int {
	size := protowire.SizeTag(fieldStatus) + protowire.SizeVarint(uint64(r.status))
	for _, s := range [...]string{r.eventID, r.reason, r.detail} {
		if s != "" {
			size += protowire.SizeTag(fieldEventID) + protowire.SizeBytes(len(s))
		}
	}
	return size
}

func appendString(b []byte, field protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), s)
}

// credentials returns the key and origin of a call.
func credentials(ctx context.Context) (key, origin string) {
	md, _ := metadata.FromIncomingContext(ctx)
	return registry.BearerToken(first(md["authorization"])), first(md["origin"])
}

// collect answers one batch.
func (c *Collector) collect(ctx context.Context, in *request) (response, error) {
	c.inFlight.add()
	defer c.inFlight.done()
	defer in.free()
	key, origin := credentials(ctx)
	from, k, p := c.admit(key, origin, len(in.events))
	if p == nil {
		p = in.problem
	}
	if p == nil && !c.budget.TryAcquire(int64(in.size)) {
		p = &problem{reasonOverBudget, details[reasonOverBudget]}
	}
	if p != nil {
		c.reject(k, overGRPC, p, max(1, len(in.events)))
		return nil, apijson.StatusError(p.grpcCode(), string(p.reason), p.detail)
	}
	defer c.budget.Release(int64(in.size))
	b := c.newBatch(from, overGRPC)
	defer b.release()
	for _, raw := range in.events {
		b.addProto(raw)
	}
	b.commit(ctx)
	return newResponse(b.results), nil
}

// errDraining ends streams of a collector that shuts down.
var errDraining = errors.New("draining")
