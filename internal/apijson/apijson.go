// Package apijson maps the API's protobuf messages to JSON and back, the same way for every endpoint.
//
// Out: snake_case names, zero values written, 64-bit integers as strings, times in RFC 3339. In: snake_case or camelCase,
// integers as strings or numbers, times in RFC 3339 or as Unix milliseconds, durations such as "30d", "24h" or "3600s";
// unknown fields are ignored and counted.
package apijson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// ErrMalformed reports JSON that is not the message. Its text names the place and never repeats a value, which may be
// personal.
var ErrMalformed = errors.New("malformed JSON")

var (
	writer = protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: true}
	strict = protojson.UnmarshalOptions{}
)

// Marshal returns the message as compact JSON.
func Marshal(m proto.Message) ([]byte, error) {
	data, err := writer.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("writing %s as JSON: %w", m.ProtoReflect().Descriptor().Name(), err)
	}
	// protojson puts in spaces at random so that nobody relies on its bytes; what goes over the wire needs none.
	var compact bytes.Buffer
	compact.Grow(len(data))
	if err := json.Compact(&compact, data); err != nil {
		return nil, fmt.Errorf("writing %s as JSON: %w", m.ProtoReflect().Descriptor().Name(), err)
	}
	return compact.Bytes(), nil
}

// Unmarshal reads one JSON object into m, which it resets first, and returns how many unknown fields it ignored. It fails
// with ErrMalformed.
func Unmarshal(data []byte, m proto.Message) (unknown int, err error) {
	// What is written as we write it, takes the fast decoder; it knows neither unknown fields nor our other notations.
	if strict.Unmarshal(data, m) == nil {
		return 0, nil
	}
	proto.Reset(m)
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var value any
	if err := dec.Decode(&value); err != nil {
		return 0, fmt.Errorf("%w: %s", ErrMalformed, describe(err))
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("%w: something follows the object", ErrMalformed)
	}
	object, ok := value.(map[string]any)
	if !ok {
		return 0, fmt.Errorf("%w: not an object", ErrMalformed)
	}
	var d decoder
	if err := d.message("", object, m.ProtoReflect()); err != nil {
		proto.Reset(m)
		return 0, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return d.unknown, nil
}

// describe says where JSON is broken, without the text.
func describe(err error) string {
	if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
		return fmt.Sprintf("syntax error at byte %d", syntax.Offset)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "it ends too early"
	}
	return "it cannot be read"
}
