package telemetry

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// httpBuckets are seconds: a pixel takes well under a millisecond of work, a report up to seconds.
var httpBuckets = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

// InstrumentHTTP wraps next, which must be an [http.ServeMux] or pass its request on unchanged, so that every answer is
// counted and timed by route (the mux pattern, so labels are bounded), method and status. A handler that panics is answered with
// 500, counted and logged.
func InstrumentHTTP(reg prometheus.Registerer, log *slog.Logger, next http.Handler) (http.Handler, error) {
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "aftertouch_http_requests_total",
		Help: "HTTP requests answered.",
	}, []string{"route", "method", "code"})
	duration := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "aftertouch_http_request_duration_seconds",
		Help:    "Time from the request's headers to the end of the answer.",
		Buckets: httpBuckets,
	}, []string{"route"})
	inFlight := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "aftertouch_http_requests_in_flight",
		Help: "HTTP requests being answered.",
	})
	panics := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "aftertouch_http_panics_total",
		Help: "Requests whose handler panicked and that were answered with 500; each is a bug.",
	})
	for _, c := range []prometheus.Collector{requests, duration, inFlight, panics} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("registering HTTP metrics: %w", err)
		}
	}
	next = recovered(next, log, panics)
	byRoute := promhttp.WithLabelFromRequest("route", route)
	next = promhttp.InstrumentHandlerDuration(duration, next, byRoute)
	next = promhttp.InstrumentHandlerCounter(requests, next, byRoute)
	return promhttp.InstrumentHandlerInFlight(inFlight, next), nil
}

// recovered keeps a handler's panic from reaching the server, which would only break off the connection.
func recovered(next http.Handler, log *slog.Logger, panics prometheus.Counter) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if p == http.ErrAbortHandler { //nolint:errorlint // the value itself is the signal
				panic(p)
			}
			panics.Inc()
			log.ErrorContext(r.Context(), "http handler panicked", "route", route(r), "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusInternalServerError) // of no effect when the answer had begun
			_, _ = w.Write([]byte(`{"reason":"internal","detail":"internal error"}`))
		}()
		next.ServeHTTP(w, r)
	})
}

// route is the mux pattern that served the request without its method; it is read after the mux has set it.
func route(r *http.Request) string {
	if r.Pattern == "" {
		return "none"
	}
	if _, path, found := strings.Cut(r.Pattern, " "); found {
		return path
	}
	return r.Pattern
}
