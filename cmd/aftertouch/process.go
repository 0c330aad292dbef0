package main

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"github.com/aftertouch-io/aftertouch/api"
	"github.com/aftertouch-io/aftertouch/internal/grpccodec"
	"github.com/aftertouch-io/aftertouch/internal/run"
	"github.com/aftertouch-io/aftertouch/internal/telemetry"
)

const (
	// maxMessageBytes admits a batch of 1 MiB with room for its envelope; the collector refuses larger batches by name.
	maxMessageBytes = 4 << 20
	healthInterval  = time.Second
)

// process is what every command that serves is made of: one HTTP mux, one gRPC server, metrics, readiness and the components
// that run.
type process struct {
	config     run.Config
	log        *slog.Logger
	metrics    *prometheus.Registry
	readiness  *run.Readiness
	mux        *http.ServeMux
	grpc       *grpc.Server
	instrument *telemetry.GRPC
	*run.Process
}

func newProcess(ctx context.Context, p *program, c run.Config) (*process, error) {
	s := &process{
		config: c, log: telemetry.NewLogger(p.err, p.log), metrics: telemetry.NewRegistry(p.build),
		readiness: &run.Readiness{}, mux: http.NewServeMux(),
	}
	s.Process = run.NewProcess(ctx, c, s.log, s.readiness)
	var err error
	if s.instrument, err = telemetry.NewGRPC(s.metrics, s.log); err != nil {
		return nil, err
	}
	s.grpc = grpc.NewServer(append(s.instrument.Options(),
		grpccodec.ServerOption(), // the collector's handlers need it, the others are faster with it
		grpc.MaxRecvMsgSize(maxMessageBytes),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
	)...)
	openAPI, err := api.OpenAPI()
	if err != nil {
		return nil, err
	}
	run.RegisterOps(s.mux, s.readiness, s.metrics, openAPI)
	return s, nil
}

// serve binds the ports and answers once every service is registered.
func (s *process) serve() error {
	healthServer := health.NewServer()
	grpc_health_v1.RegisterHealthServer(s.grpc, healthServer)
	reflection.Register(s.grpc)
	s.instrument.Initialize(s.grpc)
	s.readiness.OnDrain(healthServer.Shutdown)

	handler, err := telemetry.InstrumentHTTP(s.metrics, s.log, s.mux)
	if err != nil {
		return err
	}
	servers, err := run.Listen(s.Context(), s.config, s.log, handler, s.grpc)
	if err != nil {
		return err
	}
	s.Start("health", func(ctx context.Context) error { return s.watchHealth(ctx, healthServer) })
	s.Start("servers", servers.Run)
	return nil
}

// watchHealth shows readiness in the gRPC health service.
func (s *process) watchHealth(ctx context.Context, server *health.Server) error {
	ticker := time.NewTicker(healthInterval)
	defer ticker.Stop()
	for {
		state := grpc_health_v1.HealthCheckResponse_SERVING
		if len(s.readiness.State()) > 0 {
			state = grpc_health_v1.HealthCheckResponse_NOT_SERVING
		}
		server.SetServingStatus("", state)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}
