package query

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/apijson"
	"github.com/aftertouch-io/aftertouch/services/query/render"
	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/grpc-ecosystem/grpc-gateway/v2/utilities"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
)

// reportsPath is where reports are served; the name follows.
const reportsPath = "/v1/reports/"

// RegisterHTTP adds GET /v1/reports/{name} to the mux: JSON as the gateway makes it, and CSV with format=csv.
func (s *Service) RegisterHTTP(mux *http.ServeMux) error {
	gateway := runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, apijson.NewMarshaler(nil)),
		runtime.WithErrorHandler(apijson.HandleError),
		runtime.WithRoutingErrorHandler(apijson.HandleRouting),
	)
	if err := aftertouchv1.RegisterQueryServiceHandlerServer(context.Background(), gateway, s); err != nil { // it starts nothing
		return fmt.Errorf("registering reports: %w", err)
	}
	mux.HandleFunc("GET "+reportsPath+"{name}", func(w http.ResponseWriter, r *http.Request) {
		run, ok := s.reports()[r.PathValue("name")]
		if !ok {
			s.unknownReport(w, r.PathValue("name"))
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if name := unknownParameter(r.URL.Query()); name != "" {
			apijson.HandleError(r.Context(), nil, nil, w, r, badParameter(name, "is no parameter of reports; /openapi.json lists them"))
			return
		}
		if r.URL.Query().Get("format") == render.CSV {
			s.serveCSV(w, r, run)
			return
		}
		gateway.ServeHTTP(w, r)
	})
	return nil
}

// unknownParameter returns a name that is no parameter of any report, "" when there is none. A misspelt filter that is
// ignored would answer with figures of something else.
func unknownParameter(values url.Values) string {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		known := slices.ContainsFunc([]proto.Message{&aftertouchv1.Parameters{}, &aftertouchv1.ReceiptRequest{}}, func(m proto.Message) bool {
			fields := m.ProtoReflect().Descriptor().Fields()
			return fields.ByTextName(name) != nil || fields.ByJSONName(name) != nil
		})
		if !known {
			return name
		}
	}
	return ""
}

// call runs one report for the parameters of an address.
type call func(ctx context.Context, values url.Values) (proto.Message, error)

func (s *Service) reports() map[string]call {
	return map[string]call{
		"performance": calling(s.Performance), "exposure": calling(s.Exposure), "conversions": calling(s.Conversions),
		"health": calling(s.Health), "receipt": calling(s.Receipt),
	}
}

// calling reads the parameters of an address into the request of a method.
func calling[Q any, A proto.Message, P interface {
	*Q
	proto.Message
}](method func(context.Context, P) (A, error)) call {
	return func(ctx context.Context, values url.Values) (proto.Message, error) {
		var request P = new(Q)
		if err := runtime.PopulateQueryParameters(request, values, utilities.NewDoubleArray(nil)); err != nil {
			return nil, apijson.StatusError(codes.InvalidArgument, "invalid_argument", err.Error())
		}
		return method(ctx, request)
	}
}

// serveCSV answers with CSV. Errors are JSON as elsewhere.
func (s *Service) serveCSV(w http.ResponseWriter, r *http.Request, run call) {
	ctx := metadata.NewIncomingContext(r.Context(), metadata.Pairs("authorization", r.Header.Get("Authorization")))
	answer, err := run(ctx, r.URL.Query())
	var body bytes.Buffer
	if err == nil {
		err = render.Write(&body, answer, render.CSV)
	}
	if err != nil {
		apijson.HandleError(ctx, nil, nil, w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/csv; charset=utf-8; header=present")
	w.Header().Set("Content-Disposition", fmt.Sprintf("inline; filename=%q", r.PathValue("name")+".csv"))
	_, _ = w.Write(body.Bytes()) // the caller is gone when this fails
}

func (s *Service) unknownReport(w http.ResponseWriter, name string) {
	names := slices.Sorted(maps.Keys(s.reports()))
	s.metrics.done("unknown", "not_found", 0)
	apijson.WriteError(w, http.StatusNotFound, apijson.Error{
		Reason: "not_found", Detail: fmt.Sprintf("there is no report %q; there are %s", name, strings.Join(names, ", ")),
	})
}
