package event

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// ErrUndecodable reports a record that is not of this log's schema; it goes to dead letters.
var ErrUndecodable = errors.New("undecodable record")

// Record is one decoded record of the events log.
type Record struct {
	Position Position
	// Timestamp is the record's Kafka timestamp in Unix ms: the producer's clock at the first send (D8).
	Timestamp int64
	To        Address
	// RegistryOffset must have been applied to the registry before the record is applied (D7).
	RegistryOffset int64
	// Exactly one of the following is set.
	Event    *aftertouchv1.Event
	Message  *aftertouchv1.Message
	Refusals *aftertouchv1.Refusals
	// Payload is the encoding of Event, and PayloadHash the first 8 bytes of its SHA-256, big endian.
	Payload     []byte
	PayloadHash uint64
}

// Field numbers of LogRecord.
const (
	fieldRegistryOffset = 1
	fieldEvent          = 2
	fieldMessage        = 3
	fieldRefusals       = 4
)

// EncodeEvent returns the record value of a stamped event. The registry offset moves out of the stamps into the record,
// so that a replayed event has the payload of the first one. The encoding is deterministic.
func EncodeEvent(e *aftertouchv1.Event) ([]byte, error) {
	var offset int64
	if e.Stamps != nil {
		offset, e.Stamps.RegistryOffset = e.Stamps.RegistryOffset, 0
		defer func() { e.Stamps.RegistryOffset = offset }()
	}
	b := make([]byte, 0, e.SizeVT()+16)
	b = protowire.AppendTag(b, fieldRegistryOffset, protowire.VarintType)
	b = protowire.AppendVarint(b, uint64(offset))
	b = protowire.AppendTag(b, fieldEvent, protowire.BytesType)
	payload, err := marshalEvent(e)
	if err != nil {
		return nil, fmt.Errorf("encoding event %q: %w", e.GetEventId(), err)
	}
	return protowire.AppendBytes(b, payload), nil
}

// marshalEvent is deterministic: generated code writes maps of more than one entry in random order.
func marshalEvent(e *aftertouchv1.Event) ([]byte, error) {
	if len(e.Properties) > 1 {
		return proto.MarshalOptions{Deterministic: true}.Marshal(e)
	}
	return e.MarshalVT()
}

// EncodeMessage returns the record value of a message.
func EncodeMessage(m *aftertouchv1.Message) ([]byte, error) {
	return (&aftertouchv1.LogRecord{Body: &aftertouchv1.LogRecord_Message{Message: m}}).MarshalVT()
}

// EncodeRefusals returns the record value of refusal counts.
func EncodeRefusals(r *aftertouchv1.Refusals) ([]byte, error) {
	return (&aftertouchv1.LogRecord{Body: &aftertouchv1.LogRecord_Refusals{Refusals: r}}).MarshalVT()
}

// Decode decodes a record's key and value into r; position and timestamp are the caller's. It fails with ErrUndecodable.
// The decoded record does not refer to key or value, except Payload, which is a part of value.
func Decode(key, value []byte, r *Record) error {
	to, err := ParseKey(string(key))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUndecodable, err)
	}
	r.To, r.RegistryOffset, r.Event, r.Message, r.Refusals, r.Payload, r.PayloadHash = to, 0, nil, nil, nil, nil, 0
	for len(value) > 0 {
		num, typ, n := protowire.ConsumeTag(value)
		if n < 0 {
			return fmt.Errorf("%w: bad tag", ErrUndecodable)
		}
		value = value[n:]
		n = protowire.ConsumeFieldValue(num, typ, value)
		if n < 0 {
			return fmt.Errorf("%w: bad field %d", ErrUndecodable, num)
		}
		if err := r.decodeField(num, typ, value[:n]); err != nil {
			return fmt.Errorf("%w: field %d: %w", ErrUndecodable, num, err)
		}
		value = value[n:]
	}
	if r.Event == nil && r.Message == nil && r.Refusals == nil {
		return fmt.Errorf("%w: empty", ErrUndecodable)
	}
	return nil
}

func (r *Record) decodeField(num protowire.Number, typ protowire.Type, field []byte) error {
	if num == fieldRegistryOffset && typ == protowire.VarintType {
		v, _ := protowire.ConsumeVarint(field)
		r.RegistryOffset = int64(v)
		return nil
	}
	if typ != protowire.BytesType {
		return nil
	}
	body, _ := protowire.ConsumeBytes(field)
	switch num {
	case fieldEvent:
		r.Event = &aftertouchv1.Event{}
		sum := sha256.Sum256(body)
		r.Payload, r.PayloadHash = body, binary.BigEndian.Uint64(sum[:8])
		return r.Event.UnmarshalVT(body)
	case fieldMessage:
		r.Message = &aftertouchv1.Message{}
		return r.Message.UnmarshalVT(body)
	case fieldRefusals:
		r.Refusals = &aftertouchv1.Refusals{}
		return r.Refusals.UnmarshalVT(body)
	}
	return nil
}
