package query

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/apijson"
	"github.com/aftertouch-io/aftertouch/internal/registry"
	"github.com/aftertouch-io/aftertouch/internal/store"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Store gives the connection to ClickHouse.
type Store interface{ Conn() driver.Conn }

// Deps are what the service works with.
type Deps struct {
	Store    Store
	Registry *registry.View
	// LogEnds returns the next offset of each partition of the newest epoch's topic, for lag in health. May be nil.
	LogEnds    func(context.Context) (map[int32]int64, error)
	Registerer prometheus.Registerer
	Logger     *slog.Logger
	// Clock returns the time of day; default time.Now.
	Clock func() time.Time
}

// Service is the QueryService over gRPC and HTTP.
type Service struct {
	aftertouchv1.UnimplementedQueryServiceServer

	cfg      Config
	conn     driver.Conn
	registry *registry.View
	logEnds  func(context.Context) (map[int32]int64, error)
	log      *slog.Logger
	now      func() time.Time
	metrics  *metrics
	graphs   graphCache

	peopleCache peopleCache
}

// New returns a service that is ready to be registered. It fails for a bad configuration.
func New(cfg Config, d Deps) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configuring queries: %w", err)
	}
	m, err := newMetrics(d.Registerer)
	if err != nil {
		return nil, err
	}
	if d.Clock == nil {
		d.Clock = time.Now
	}
	return &Service{
		cfg: cfg, conn: d.Store.Conn(), registry: d.Registry, logEnds: d.LogEnds, log: d.Logger, now: d.Clock, metrics: m,
	}, nil
}

// RegisterGRPC adds the QueryService to the server.
func (s *Service) RegisterGRPC(server *grpc.Server) {
	aftertouchv1.RegisterQueryServiceServer(server, s)
}

// report runs one report: who asks, a deadline, and the counters around it.
func report[T any](ctx context.Context, s *Service, name string, need registry.Scope, run func(ctx context.Context, workspace string) (T, error)) (T, error) {
	started := time.Now()
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	var zero T
	key, err := s.registry.AuthorizeGRPC(ctx, need)
	if err == nil {
		var answer T
		if answer, err = run(ctx, key.Workspace); err == nil {
			s.metrics.done(name, "ok", time.Since(started))
			return answer, nil
		}
	}
	err = s.publicError(ctx, name, err)
	s.metrics.done(name, apijson.ErrorOf(err).Reason, time.Since(started))
	return zero, err
}

// publicError keeps errors that are meant for the caller, and hides and logs the others: the engine's texts hold values.
func (s *Service) publicError(ctx context.Context, name string, err error) error {
	if _, ok := status.FromError(err); ok {
		return err
	}
	switch {
	case errors.Is(err, context.Canceled) && ctx.Err() == context.Canceled:
		return apijson.StatusError(codes.Canceled, "canceled", "the caller went away")
	case ctx.Err() == context.DeadlineExceeded:
		return apijson.StatusError(codes.DeadlineExceeded, "deadline_exceeded",
			fmt.Sprintf("the report took over %s; ask for a shorter period, or one campaign or creator", s.cfg.Timeout))
	}
	s.log.Error("report failed", "report", name, "error", err)
	if exception := (*clickhouse.Exception)(nil); errors.As(err, &exception) && exception.Code == codeMemoryLimit {
		return apijson.StatusError(codes.ResourceExhausted, "resource_exhausted",
			"the report needs too much memory; ask for a shorter period, or one campaign or creator")
	}
	return apijson.StatusError(codes.Unavailable, "unavailable", "the report could not be made; try again, and see the log of the service")
}

// codeMemoryLimit is ClickHouse's MEMORY_LIMIT_EXCEEDED.
const codeMemoryLimit = 241

// statementContext returns the context that statements of a request run in, with the parameters they may name.
func (s *Service) statementContext(ctx context.Context, r *request) context.Context {
	return s.bind(ctx, clickhouse.Parameters{
		"workspace": r.workspace, "campaign": r.campaign, "creator": r.creator, "action": r.action,
	})
}

func (s *Service) bind(ctx context.Context, parameters clickhouse.Parameters) context.Context {
	settings := store.ReadSettings()
	if s.cfg.MaxMemoryBytes > 0 {
		settings["max_memory_usage"] = s.cfg.MaxMemoryBytes
	}
	if s.cfg.MaxThreads > 0 {
		settings["max_threads"] = s.cfg.MaxThreads
	}
	if deadline, ok := ctx.Deadline(); ok {
		settings["max_execution_time"] = max(1, int(time.Until(deadline).Seconds())+1)
	}
	return clickhouse.Context(ctx, clickhouse.WithParameters(parameters), clickhouse.WithSettings(settings))
}

// each runs a statement and calls scan for each row of its answer.
func (s *Service) each(ctx context.Context, what, text string, scan func(driver.Rows) error) error {
	rows, err := s.conn.Query(ctx, text)
	if err != nil {
		return fmt.Errorf("reading %s: %w", what, err)
	}
	defer rows.Close() //nolint:errcheck // Err below reports what matters
	for rows.Next() {
		if err := scan(rows); err != nil {
			return fmt.Errorf("scanning %s: %w", what, err)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("reading %s: %w", what, err)
	}
	return nil
}
