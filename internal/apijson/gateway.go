package apijson

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// maxBody bounds what one call of the gateway may send.
const maxBody = 1 << 20

// Marshaler is the gateway's view of this package.
type Marshaler struct {
	// OnUnknown is told how many unknown fields a request had, when it had any. May be nil.
	OnUnknown func(n int)
	// rest handles what is no message: single fields. The API's bodies are whole messages, so it is for completeness.
	rest runtime.JSONPb
}

var _ runtime.Marshaler = (*Marshaler)(nil)

// NewMarshaler returns a marshaler for grpc-gateway, to be given for every MIME type. onUnknown may be nil.
func NewMarshaler(onUnknown func(n int)) *Marshaler {
	return &Marshaler{OnUnknown: onUnknown, rest: runtime.JSONPb{MarshalOptions: writer, UnmarshalOptions: strict}}
}

// ContentType is always JSON.
func (m *Marshaler) ContentType(any) string { return "application/json" }

// Marshal writes a message, or a field of one.
func (m *Marshaler) Marshal(v any) ([]byte, error) {
	if message, ok := v.(proto.Message); ok {
		return Marshal(message)
	}
	return m.rest.Marshal(v)
}

// Unmarshal reads a message, or a field of one.
func (m *Marshaler) Unmarshal(data []byte, v any) error {
	message, ok := v.(proto.Message)
	if !ok {
		return m.rest.Unmarshal(data, v)
	}
	unknown, err := Unmarshal(data, message)
	if unknown > 0 && m.OnUnknown != nil {
		m.OnUnknown(unknown)
	}
	return err
}

// NewDecoder reads one message of at most 1 MiB; io.EOF means that there is none.
func (m *Marshaler) NewDecoder(r io.Reader) runtime.Decoder {
	return runtime.DecoderFunc(func(v any) error {
		data, err := io.ReadAll(io.LimitReader(r, maxBody+1))
		switch {
		case err != nil:
			return fmt.Errorf("reading the request: %w", err)
		case len(data) == 0:
			return io.EOF
		case len(data) > maxBody:
			return fmt.Errorf("%w: over %d bytes", ErrMalformed, maxBody)
		}
		return m.Unmarshal(data, v)
	})
}

// NewEncoder writes messages one after another.
func (m *Marshaler) NewEncoder(w io.Writer) runtime.Encoder {
	return runtime.EncoderFunc(func(v any) error {
		data, err := m.Marshal(v)
		if err != nil {
			return err
		}
		_, err = w.Write(data)
		return err
	})
}

// Error is the body of every answer that is not a success.
type Error struct {
	// Reason is machine-readable, such as version_conflict or not_found.
	Reason string `json:"reason"`
	// Detail says what to do about it.
	Detail string `json:"detail"`
}

// StatusError makes a gRPC error whose machine-readable reason also reaches JSON callers.
func StatusError(code codes.Code, reason, detail string) error {
	s := status.New(code, reason+": "+detail)
	if detailed, err := s.WithDetails(&errdetails.ErrorInfo{Reason: reason, Domain: "aftertouch"}); err == nil {
		s = detailed
	}
	return s.Err()
}

// ErrorOf returns what an error is in JSON: the reason of its ErrorInfo when it has one, else the code's word.
func ErrorOf(err error) Error {
	s := status.Convert(err)
	for _, detail := range s.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.Reason != "" {
			return Error{Reason: info.Reason, Detail: strings.TrimPrefix(s.Message(), info.Reason+": ")}
		}
	}
	return Error{Reason: codeWord(s.Code()), Detail: s.Message()}
}

// codeWord writes a code as the other reasons are written: NotFound becomes not_found.
func codeWord(c codes.Code) string {
	var b strings.Builder
	for i, r := range c.String() {
		if r >= 'A' && r <= 'Z' {
			if i > 0 {
				b.WriteByte('_')
			}
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}

// WriteError answers with an Error. Callers that may try again are told when.
func WriteError(w http.ResponseWriter, code int, e Error) {
	body, err := json.Marshal(e)
	if err != nil {
		body = []byte(`{"reason":"internal","detail":""}`)
	}
	if (code == http.StatusTooManyRequests || code == http.StatusServiceUnavailable) && w.Header().Get("Retry-After") == "" {
		w.Header().Set("Retry-After", "1")
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code)
	_, _ = w.Write(body) // the caller is gone when this fails
}

// HandleError answers a gateway's call that failed. It is a [runtime.ErrorHandlerFunc].
func HandleError(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, _ *http.Request, err error) {
	code := runtime.HTTPStatusFromCode(status.Code(err))
	if chosen := (*runtime.HTTPStatusError)(nil); errors.As(err, &chosen) {
		code, err = chosen.HTTPStatus, chosen.Err
	}
	WriteError(w, code, ErrorOf(err))
}

// HandleRouting answers a call that no method is for. It is a [runtime.RoutingErrorHandlerFunc]; the gateway's own answers
// 501 to a wrong method, which callers take for a failure that passes.
func HandleRouting(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, code int) {
	e := Error{Reason: "not_found", Detail: "there is nothing at this path; /openapi.json lists what there is"}
	switch code {
	case http.StatusNotFound:
	case http.StatusMethodNotAllowed:
		e = Error{Reason: "method_not_allowed", Detail: "this path does not take " + r.Method + "; /openapi.json lists what it takes"}
	default:
		e = Error{Reason: "invalid_argument", Detail: http.StatusText(code)}
	}
	WriteError(w, code, e)
}
