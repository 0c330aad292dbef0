// Package grpccodec is the codec of Aftertouch's gRPC servers and clients: protobuf through the generated fast paths, and
// handlers that want the bytes themselves.
package grpccodec

import (
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
)

// Name is the content subtype: the wire format is plain protobuf, so every gRPC client understands it.
const Name = "proto"

// Codec implements [encoding.CodecV2]. It takes messages with generated MarshalVT and UnmarshalVT, any other
// [proto.Message], and types that implement Reader or Writer.
type Codec struct{}

var _ encoding.CodecV2 = Codec{}

// Reader is a request that decodes itself. It frees data when it does not need it any more.
type Reader interface{ ReadMessage(data mem.Buffer) error }

// Writer is a response that encodes itself. The bytes must not change afterwards.
type Writer interface{ WriteMessage() ([]byte, error) }

// ServerOption makes a server use the codec for all calls.
func ServerOption() grpc.ServerOption { return grpc.ForceServerCodecV2(Codec{}) }

// DialOption makes a client use the codec for all calls.
func DialOption() grpc.DialOption {
	return grpc.WithDefaultCallOptions(grpc.ForceCodecV2(Codec{}))
}

// Name returns the content subtype.
func (Codec) Name() string { return Name }

type vtMessage interface {
	SizeVT() int
	MarshalToSizedBufferVT(b []byte) (int, error)
	UnmarshalVT(b []byte) error
}

// Marshal encodes v.
func (Codec) Marshal(v any) (mem.BufferSlice, error) {
	switch m := v.(type) {
	case Writer:
		b, err := m.WriteMessage()
		if err != nil {
			return nil, fmt.Errorf("encoding %T: %w", v, err)
		}
		return mem.BufferSlice{mem.SliceBuffer(b)}, nil
	case vtMessage:
		return pooled(m.SizeVT(), func(b []byte) error {
			_, err := m.MarshalToSizedBufferVT(b)
			return err
		})
	case proto.Message:
		b, err := proto.Marshal(m)
		if err != nil {
			return nil, fmt.Errorf("encoding %T: %w", v, err)
		}
		return mem.BufferSlice{mem.SliceBuffer(b)}, nil
	default:
		return nil, fmt.Errorf("encoding %T: not a protobuf message", v)
	}
}

// pooled fills a buffer of n bytes that goes back to gRPC's pool once it is sent.
func pooled(n int, fill func(b []byte) error) (mem.BufferSlice, error) {
	if mem.IsBelowBufferPoolingThreshold(n) {
		b := make([]byte, n)
		if err := fill(b); err != nil {
			return nil, fmt.Errorf("encoding message: %w", err)
		}
		return mem.BufferSlice{mem.SliceBuffer(b)}, nil
	}
	pool := mem.DefaultBufferPool()
	b := pool.Get(n)
	if err := fill((*b)[:n]); err != nil {
		pool.Put(b)
		return nil, fmt.Errorf("encoding message: %w", err)
	}
	return mem.BufferSlice{mem.NewBuffer(b, pool)}, nil
}

// Unmarshal decodes data into v.
func (Codec) Unmarshal(data mem.BufferSlice, v any) error {
	switch m := v.(type) {
	case Reader:
		return m.ReadMessage(data.MaterializeToBuffer(mem.DefaultBufferPool()))
	case vtMessage:
		buf := data.MaterializeToBuffer(mem.DefaultBufferPool())
		defer buf.Free()
		if r, ok := v.(proto.Message); ok {
			proto.Reset(r) // UnmarshalVT merges
		}
		return m.UnmarshalVT(buf.ReadOnlyData())
	case proto.Message:
		buf := data.MaterializeToBuffer(mem.DefaultBufferPool())
		defer buf.Free()
		return proto.Unmarshal(buf.ReadOnlyData(), m)
	default:
		return fmt.Errorf("decoding %T: not a protobuf message", v)
	}
}
