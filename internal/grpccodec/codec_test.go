package grpccodec

import (
	"errors"
	"strings"
	"testing"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
)

// self encodes and decodes itself.
type self struct {
	data []byte
	err  error
}

func (s *self) ReadMessage(data mem.Buffer) error {
	defer data.Free()
	s.data = append([]byte(nil), data.ReadOnlyData()...)
	return s.err
}

func (s *self) WriteMessage() ([]byte, error) { return s.data, s.err }

func marshal(t *testing.T, v any) mem.BufferSlice {
	t.Helper()
	data, err := Codec{}.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestMessagesCrossAsPlainProtobuf(t *testing.T) {
	for name, m := range map[string]proto.Message{
		"generated fast path": &aftertouchv1.CollectRequest{Events: []*aftertouchv1.Event{{EventId: "e1"}}},
		"above pooling size":  &aftertouchv1.CollectRequest{Events: []*aftertouchv1.Event{{PageUrl: strings.Repeat("x", 5000)}}},
		"any other message":   &grpc_health_v1.HealthCheckRequest{Service: "s"},
		"empty":               &aftertouchv1.CollectRequest{},
	} {
		data := marshal(t, m)
		plain, err := proto.Marshal(m)
		if err != nil || string(data.Materialize()) != string(plain) {
			t.Errorf("%s: not plain protobuf, %v", name, err)
		}
		// In pieces, as they come off the wire, and into a message that held something else.
		got := m.ProtoReflect().New().Interface()
		if r, ok := got.(*aftertouchv1.CollectRequest); ok {
			r.Events = []*aftertouchv1.Event{{EventId: "left over"}}
		}
		half := len(plain) / 2
		if err := (Codec{}).Unmarshal(mem.BufferSlice{mem.SliceBuffer(plain[:half]), mem.SliceBuffer(plain[half:])}, got); err != nil || !proto.Equal(got, m) {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
		data.Free()
	}
}

func TestHandlersReadAndWriteThemselves(t *testing.T) {
	in := &self{data: []byte("some bytes")}
	data := marshal(t, in)
	out := &self{}
	if err := (Codec{}).Unmarshal(data, out); err != nil || string(out.data) != "some bytes" {
		t.Errorf("%q, %v", out.data, err)
	}
	in.err = errors.New("no")
	if _, err := (Codec{}).Marshal(in); !errors.Is(err, in.err) {
		t.Errorf("writing: %v", err)
	}
	if err := (Codec{}).Unmarshal(data, in); !errors.Is(err, in.err) {
		t.Errorf("reading: %v", err)
	}
}

func TestOtherTypesAreRefused(t *testing.T) {
	if _, err := (Codec{}).Marshal("text"); err == nil {
		t.Error("a string was encoded")
	}
	if err := (Codec{}).Unmarshal(nil, new(string)); err == nil {
		t.Error("a string was decoded")
	}
	if err := (Codec{}).Unmarshal(mem.BufferSlice{mem.SliceBuffer{0xff}}, &aftertouchv1.Event{}); err == nil {
		t.Error("broken protobuf was decoded")
	}
}
