package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/prometheus/client_golang/prometheus"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/apijson"
)

// newGateway serves the registry as JSON over HTTP, by the mapping generated from the protobuf files. Calls are made in the
// process; the caller's Authorization header reaches them as the metadata "authorization", as it would over the network.
func newGateway(ctx context.Context, reg prometheus.Registerer, registry aftertouchv1.RegistryServiceServer) (http.Handler, error) {
	unknown := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "aftertouch_api_unknown_fields_total",
		Help: "Fields in JSON requests to the registry that no message has; they are ignored.",
	})
	if err := reg.Register(unknown); err != nil {
		return nil, fmt.Errorf("registering API metrics: %w", err)
	}
	mux := runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, apijson.NewMarshaler(func(n int) { unknown.Add(float64(n)) })),
		runtime.WithErrorHandler(apijson.HandleError),
		runtime.WithRoutingErrorHandler(apijson.HandleRouting),
	)
	if err := aftertouchv1.RegisterRegistryServiceHandlerServer(ctx, mux, registry); err != nil {
		return nil, fmt.Errorf("mapping the registry to HTTP: %w", err)
	}
	return mux, nil
}
