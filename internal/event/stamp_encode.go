package event

import (
	"fmt"
	"slices"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// AppendEvent appends the record value of a stamped event to b, the same bytes that EncodeEvent returns; collectors write
// a batch's values into one buffer.
func AppendEvent(b []byte, e *aftertouchv1.Event) ([]byte, error) {
	var offset int64
	if e.Stamps != nil {
		offset, e.Stamps.RegistryOffset = e.Stamps.RegistryOffset, 0
		defer func() { e.Stamps.RegistryOffset = offset }()
	}
	b = protowire.AppendTag(b, fieldRegistryOffset, protowire.VarintType)
	b = protowire.AppendVarint(b, uint64(offset))
	b = protowire.AppendTag(b, fieldEvent, protowire.BytesType)
	size := e.SizeVT()
	b = protowire.AppendVarint(b, uint64(size))
	start := len(b)
	b = slices.Grow(b, size)
	var err error
	if len(e.Properties) > 1 {
		b, err = proto.MarshalOptions{Deterministic: true}.MarshalAppend(b, e)
	} else {
		b = b[:start+size]
		_, err = e.MarshalToSizedBufferVT(b[start:])
	}
	if err != nil {
		return b[:start], fmt.Errorf("encoding event %q: %w", e.GetEventId(), err)
	}
	return b, nil
}
