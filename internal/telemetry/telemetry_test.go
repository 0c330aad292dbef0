package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

func TestLoggerWritesTheConfiguredFormAndLevel(t *testing.T) {
	var out bytes.Buffer
	log := NewLogger(&out, LogConfig{Level: "warn", Format: "json"})
	log.Info("quiet")
	log.Warn("loud", "partition", 3)
	var line struct {
		Msg       string
		Partition int
	}
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("the log is not one JSON line: %v\n%s", err, out.String())
	}
	if line.Msg != "loud" || line.Partition != 3 {
		t.Errorf("line is %+v", line)
	}
}

func TestLogConfigNamesBothFaults(t *testing.T) {
	if err := DefaultLog().Validate(); err != nil {
		t.Fatal(err)
	}
	err := LogConfig{Level: "loud", Format: "xml"}.Validate()
	if err == nil || !strings.Contains(err.Error(), "log-level") || !strings.Contains(err.Error(), "log-format") {
		t.Errorf("Validate: %v, want both faults", err)
	}
}

func TestHTTPIsCountedByRouteNotByAddress(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /c/{link}", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusFound) })
	reg := prometheus.NewRegistry()
	handler, err := InstrumentHTTP(reg, slog.New(slog.DiscardHandler), mux)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/c/a", "/c/b", "/nowhere/1", "/nowhere/2"} {
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, path, nil))
	}
	want := `
# HELP aftertouch_http_requests_total HTTP requests answered.
# TYPE aftertouch_http_requests_total counter
aftertouch_http_requests_total{code="302",method="get",route="/c/{link}"} 2
aftertouch_http_requests_total{code="404",method="get",route="none"} 2
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "aftertouch_http_requests_total"); err != nil {
		t.Error(err)
	}
}

func TestAPanicInAnHTTPHandlerIsAnsweredCountedAndLogged(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /x", func(http.ResponseWriter, *http.Request) { panic("BUG: no") })
	reg := prometheus.NewRegistry()
	var out bytes.Buffer
	handler, err := InstrumentHTTP(reg, slog.New(slog.NewTextHandler(&out, nil)), mux)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/x", nil))
	if w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "BUG") {
		t.Errorf("answered %d %s", w.Code, w.Body)
	}
	if !strings.Contains(out.String(), "BUG: no") || !strings.Contains(out.String(), "route=/x") {
		t.Errorf("the log does not say what happened: %s", out.String())
	}
	want := `
# HELP aftertouch_http_panics_total Requests whose handler panicked and that were answered with 500; each is a bug.
# TYPE aftertouch_http_panics_total counter
aftertouch_http_panics_total 1
# HELP aftertouch_http_requests_total HTTP requests answered.
# TYPE aftertouch_http_requests_total counter
aftertouch_http_requests_total{code="500",method="get",route="/x"} 1
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "aftertouch_http_panics_total", "aftertouch_http_requests_total"); err != nil {
		t.Error(err)
	}
}

func TestBuildInfoNamesTheBinary(t *testing.T) {
	count, err := testutil.GatherAndCount(NewRegistry(Build{Version: "v1"}), "aftertouch_build_info", "go_goroutines")
	if err != nil || count != 2 {
		t.Errorf("found %d of 2 metrics: %v", count, err)
	}
}

type panicking struct {
	grpc_health_v1.UnimplementedHealthServer
}

func (panicking) Check(context.Context, *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	panic("BUG: no")
}

func TestAPanicInAHandlerIsAnsweredCountedAndLogged(t *testing.T) {
	reg := prometheus.NewRegistry()
	var out bytes.Buffer
	g, err := NewGRPC(reg, slog.New(slog.NewTextHandler(&out, nil)))
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(g.Options()...)
	grpc_health_v1.RegisterHealthServer(server, panicking{})
	g.Initialize(server)
	port, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(port) }()
	defer server.Stop()
	conn, err := grpc.NewClient(port.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, err = grpc_health_v1.NewHealthClient(conn).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	if status.Code(err) != codes.Internal || strings.Contains(err.Error(), "BUG") {
		t.Errorf("answer is %v, want INTERNAL without the panic's text", err)
	}
	if got := testutil.ToFloat64(g.panics); got != 1 {
		t.Errorf("counted %v panics", got)
	}
	if !strings.Contains(out.String(), "BUG: no") {
		t.Errorf("the log does not say what happened: %s", out.String())
	}
	handled, err := testutil.GatherAndCount(reg, "grpc_server_handled_total")
	if err != nil || handled == 0 {
		t.Errorf("no call was counted: %v", err)
	}
}
