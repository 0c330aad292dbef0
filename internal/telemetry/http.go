package telemetry

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// httpBuckets are seconds: a pixel takes well under a millisecond of work, a report up to seconds.
var httpBuckets = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

// InstrumentHTTP wraps next, which must be an [http.ServeMux] or pass its request on unchanged, so that every answer is
// counted and timed by route (the mux pattern, so labels are bounded), method and status.
func InstrumentHTTP(reg prometheus.Registerer, next http.Handler) (http.Handler, error) {
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
	for _, c := range []prometheus.Collector{requests, duration, inFlight} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("registering HTTP metrics: %w", err)
		}
	}
	byRoute := promhttp.WithLabelFromRequest("route", route)
	next = promhttp.InstrumentHandlerDuration(duration, next, byRoute)
	next = promhttp.InstrumentHandlerCounter(requests, next, byRoute)
	return promhttp.InstrumentHandlerInFlight(inFlight, next), nil
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
