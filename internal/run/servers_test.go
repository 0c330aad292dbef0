package run

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
)

func serve(t *testing.T, handler http.Handler, server *grpc.Server, c Config) (s *Servers, stop func() error) {
	t.Helper()
	c.HTTPAddr, c.GRPCAddr = "127.0.0.1:0", "127.0.0.1:0"
	s, err := Listen(t.Context(), c, slog.New(slog.DiscardHandler), handler, server)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(cancel)
	return s, func() error { cancel(); return <-done }
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func TestServersFinishTheRequestInFlightWhileDraining(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	s, stop := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-release
		_, _ = io.WriteString(w, "done")
	}), nil, Default())
	answers := make(chan string, 1)
	go func() {
		_, body := get(t, "http://"+s.HTTPAddr().String())
		answers <- body
	}()
	<-entered
	time.AfterFunc(50*time.Millisecond, func() { close(release) })
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	if body := <-answers; body != "done" {
		t.Errorf("the request in flight was answered %q", body)
	}
	if _, err := http.Get("http://" + s.HTTPAddr().String()); err == nil {
		t.Error("the port still answers after draining")
	}
}

func TestServersCutStreamsThatDoNotEnd(t *testing.T) {
	server := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	s, stop := serve(t, nil, server, Config{DrainTimeout: 200 * time.Millisecond})
	conn, err := grpc.NewClient(s.GRPCAddr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	watch, err := grpc_health_v1.NewHealthClient(conn).Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := watch.Recv(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("stopping with an open stream took %s", took)
	}
}

func TestServersThatAreStoppedAtOnceStopWithoutAnError(t *testing.T) {
	for range 20 {
		_, stop := serve(t, http.NotFoundHandler(), grpc.NewServer(), Default())
		if err := stop(); err != nil {
			t.Fatalf("Run: %v", err)
		}
	}
}

func TestListenNamesTheSettingOfATakenPort(t *testing.T) {
	s, _ := serve(t, http.NotFoundHandler(), nil, Default())
	c := Default()
	c.HTTPAddr = s.HTTPAddr().String()
	_, err := Listen(t.Context(), c, slog.New(slog.DiscardHandler), http.NotFoundHandler(), nil)
	if err == nil || !strings.Contains(err.Error(), "--http-addr") {
		t.Errorf("Listen on a taken port: %v, want an error that names --http-addr", err)
	}
}

func TestOpsAnswerHealthReadinessMetricsAndTheDescription(t *testing.T) {
	mux, readiness := http.NewServeMux(), &Readiness{}
	behind := errors.New("3 records behind")
	readiness.Add("registry", func() error { return behind })
	RegisterOps(mux, readiness, prometheus.NewRegistry(), []byte(`{"swagger":"2.0"}`))
	server := httptest.NewServer(mux)
	defer server.Close()
	for path, want := range map[string]struct {
		code int
		body string
	}{
		"/healthz":      {200, "ok"},
		"/ready":        {503, `"registry":"3 records behind"`},
		"/metrics":      {200, ""},
		"/openapi.json": {200, `{"swagger":"2.0"}`},
	} {
		if code, body := get(t, server.URL+path); code != want.code || !strings.Contains(body, want.body) {
			t.Errorf("GET %s: %d %q, want %d and %q", path, code, body, want.code, want.body)
		}
	}
	behind = nil
	if code, body := get(t, server.URL+"/ready"); code != 200 {
		t.Errorf("GET /ready once caught up: %d %s", code, body)
	}
	readiness.Drain()
	if code, body := get(t, server.URL+"/ready"); code != 503 || !strings.Contains(body, "draining") {
		t.Errorf("GET /ready while draining: %d %s", code, body)
	}
}

func TestProfilesAreServedOnTheirOwnPortOnly(t *testing.T) {
	c := Default()
	c.PprofAddr = "127.0.0.1:0"
	s, _ := serve(t, http.NotFoundHandler(), nil, c)
	if code, body := get(t, "http://"+s.pprofAt.Addr().String()+"/debug/pprof/cmdline"); code != 200 || body == "" {
		t.Errorf("GET cmdline on the private port: %d %q", code, body)
	}
	if code, _ := get(t, "http://"+s.HTTPAddr().String()+"/debug/pprof/cmdline"); code != 404 {
		t.Errorf("GET profiles on the public port: %d, want 404", code)
	}
}
