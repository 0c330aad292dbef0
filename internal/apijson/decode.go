package apijson

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// decoder fills messages from decoded JSON, tolerantly.
type decoder struct{ unknown int }

func (d *decoder) message(path string, object map[string]any, m protoreflect.Message) error {
	fields := m.Descriptor().Fields()
	for name, value := range object {
		field := fields.ByName(protoreflect.Name(name))
		if field == nil {
			if field = fields.ByJSONName(name); field == nil {
				d.unknown++
				continue
			}
		}
		if value == nil {
			continue
		}
		at := join(path, string(field.Name()))
		if m.Has(field) {
			return fmt.Errorf("%s: given twice", at)
		}
		if oneof := field.ContainingOneof(); oneof != nil && m.WhichOneof(oneof) != nil {
			return fmt.Errorf("%s: only one of %s may be given", at, oneof.Name())
		}
		if err := d.field(at, value, m, field); err != nil {
			return err
		}
	}
	return nil
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func (d *decoder) field(path string, value any, m protoreflect.Message, field protoreflect.FieldDescriptor) error {
	switch {
	case field.IsList():
		items, ok := value.([]any)
		if !ok {
			return fmt.Errorf("%s: not an array", path)
		}
		list := m.Mutable(field).List()
		for i, item := range items {
			v, err := d.value(fmt.Sprintf("%s[%d]", path, i), item, field, list.NewElement)
			if err != nil {
				return err
			}
			list.Append(v)
		}
		return nil
	case field.IsMap():
		return d.mapField(path, value, m, field)
	default:
		v, err := d.value(path, value, field, func() protoreflect.Value { return m.NewField(field) })
		if err == nil {
			m.Set(field, v)
		}
		return err
	}
}

func (d *decoder) mapField(path string, value any, m protoreflect.Message, field protoreflect.FieldDescriptor) error {
	object, ok := value.(map[string]any)
	if !ok {
		return fmt.Errorf("%s: not an object", path)
	}
	entries := m.Mutable(field).Map()
	for name, item := range object {
		key, err := scalar(name, field.MapKey())
		if err != nil {
			return fmt.Errorf("%s: a key is %w", path, err)
		}
		v, err := d.value(path, item, field.MapValue(), entries.NewValue)
		if err != nil {
			return err
		}
		entries.Set(key.MapKey(), v)
	}
	return nil
}

func (d *decoder) value(path string, value any, field protoreflect.FieldDescriptor, empty func() protoreflect.Value) (protoreflect.Value, error) {
	if field.Message() == nil {
		v, err := scalar(value, field)
		if err != nil {
			return v, fmt.Errorf("%s: %w", path, err)
		}
		return v, nil
	}
	v := empty()
	switch field.Message().FullName() {
	case "google.protobuf.Timestamp":
		return v, prefix(path, setTimestamp(v.Message(), value))
	case "google.protobuf.Duration":
		return v, prefix(path, setDuration(v.Message(), value))
	}
	object, ok := value.(map[string]any)
	if !ok {
		return v, fmt.Errorf("%s: not an object", path)
	}
	return v, d.message(path, object, v.Message())
}

func prefix(path string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", path, err)
}

// scalar converts one JSON value. Map keys are always strings in JSON, whatever they are in the message.
func scalar(value any, field protoreflect.FieldDescriptor) (protoreflect.Value, error) {
	text, isString := value.(string)
	switch field.Kind() {
	case protoreflect.StringKind:
		if !isString || !utf8.ValidString(text) {
			return protoreflect.Value{}, errors.New("not a string")
		}
		return protoreflect.ValueOfString(text), nil
	case protoreflect.BytesKind:
		b, err := base64.StdEncoding.DecodeString(text)
		if !isString || err != nil {
			return protoreflect.Value{}, errors.New("not base64")
		}
		return protoreflect.ValueOfBytes(b), nil
	case protoreflect.BoolKind:
		b, isBool := value.(bool)
		if !isBool && text != "true" && text != "false" {
			return protoreflect.Value{}, errors.New("neither true nor false")
		}
		return protoreflect.ValueOfBool(b || text == "true"), nil
	case protoreflect.EnumKind:
		return enum(value, field.Enum())
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		return float(value, field.Kind())
	default:
		return integer(value, field.Kind())
	}
}

func enum(value any, e protoreflect.EnumDescriptor) (protoreflect.Value, error) {
	if word, ok := value.(string); ok {
		if v := e.Values().ByName(protoreflect.Name(word)); v != nil {
			return protoreflect.ValueOfEnum(v.Number()), nil
		}
	} else if number, ok := value.(json.Number); ok {
		if n, err := strconv.ParseInt(number.String(), 10, 32); err == nil && e.Values().ByNumber(protoreflect.EnumNumber(n)) != nil {
			return protoreflect.ValueOfEnum(protoreflect.EnumNumber(n)), nil
		}
	}
	words := make([]string, e.Values().Len())
	for i := range words {
		words[i] = string(e.Values().Get(i).Name())
	}
	return protoreflect.Value{}, fmt.Errorf("not one of %s", strings.Join(words, ", "))
}

func float(value any, kind protoreflect.Kind) (protoreflect.Value, error) {
	f, err := strconv.ParseFloat(literal(value), 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		return protoreflect.Value{}, errors.New("not a number")
	}
	if kind == protoreflect.FloatKind {
		return protoreflect.ValueOfFloat32(float32(f)), nil
	}
	return protoreflect.ValueOfFloat64(f), nil
}

// integer takes 5, "5", 5.0 and 5e0: programs that know only floating point write all of them.
func integer(value any, kind protoreflect.Kind) (protoreflect.Value, error) {
	n, ok := wholeNumber(literal(value))
	if !ok {
		return protoreflect.Value{}, errors.New("not an integer")
	}
	outside := errors.New("an integer out of range")
	switch kind {
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		if !n.IsInt64() || n.Int64() != int64(int32(n.Int64())) {
			return protoreflect.Value{}, outside
		}
		return protoreflect.ValueOfInt32(int32(n.Int64())), nil
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		if !n.IsUint64() || n.Uint64() > math.MaxUint32 {
			return protoreflect.Value{}, outside
		}
		return protoreflect.ValueOfUint32(uint32(n.Uint64())), nil
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		if !n.IsUint64() {
			return protoreflect.Value{}, outside
		}
		return protoreflect.ValueOfUint64(n.Uint64()), nil
	default:
		if !n.IsInt64() {
			return protoreflect.Value{}, outside
		}
		return protoreflect.ValueOfInt64(n.Int64()), nil
	}
}

// literal returns the text of a number, or of a string that holds one; empty for anything else.
func literal(value any) string {
	switch v := value.(type) {
	case json.Number:
		return v.String()
	case string:
		return v
	default:
		return ""
	}
}

func wholeNumber(s string) (*big.Int, bool) {
	if n, ok := new(big.Int).SetString(s, 10); ok && len(s) <= 20 {
		return n, true
	}
	// An exponent may be huge: bound the text, then the value, before making a number of it.
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || len(s) > 40 || math.Abs(f) > math.MaxUint64 {
		return nil, false
	}
	r, ok := new(big.Rat).SetString(s)
	if !ok || !r.IsInt() {
		return nil, false
	}
	return r.Num(), true
}
