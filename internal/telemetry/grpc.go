package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"

	grpcprom "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/recovery"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// GRPC instruments a gRPC server.
type GRPC struct {
	metrics *grpcprom.ServerMetrics
	panics  prometheus.Counter
	log     *slog.Logger
}

// NewGRPC registers the metrics of one gRPC server, named grpc_server_*, and returns what instruments it.
func NewGRPC(reg prometheus.Registerer, log *slog.Logger) (*GRPC, error) {
	g := &GRPC{
		metrics: grpcprom.NewServerMetrics(grpcprom.WithServerHandlingTimeHistogram(grpcprom.WithHistogramBuckets(httpBuckets))),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "aftertouch_grpc_panics_total",
			Help: "Calls that panicked and were answered with INTERNAL; each is a bug.",
		}),
		log: log,
	}
	for _, c := range []prometheus.Collector{g.metrics, g.panics} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("registering gRPC metrics: %w", err)
		}
	}
	return g, nil
}

// Options are the server options that count, time and, should a handler panic, keep the process alive.
func (g *GRPC) Options() []grpc.ServerOption {
	recovered := recovery.WithRecoveryHandlerContext(func(ctx context.Context, p any) error {
		g.panics.Inc()
		g.log.ErrorContext(ctx, "grpc handler panicked", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		return status.Error(codes.Internal, "internal error")
	})
	return []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(g.metrics.UnaryServerInterceptor(), recovery.UnaryServerInterceptor(recovered)),
		grpc.ChainStreamInterceptor(g.metrics.StreamServerInterceptor(), recovery.StreamServerInterceptor(recovered)),
	}
}

// Initialize makes every method of the server appear with zero counts, so that rates start right. Call it once all
// services are registered.
func (g *GRPC) Initialize(s *grpc.Server) { g.metrics.InitializeMetrics(s) }
