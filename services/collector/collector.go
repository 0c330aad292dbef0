package collector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/aftertouch-io/aftertouch/internal/clicktoken"
	"github.com/aftertouch-io/aftertouch/internal/eventlog"
	"github.com/aftertouch-io/aftertouch/internal/registry"
	"github.com/aftertouch-io/aftertouch/services/collector/robots"
	"github.com/aftertouch-io/aftertouch/services/collector/spool"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
)

// Registry is what the collector reads; *registry.View is one.
type Registry interface {
	// Snapshot returns the registry as of now.
	Snapshot() *registry.Snapshot
	// Ready reports whether the registry was read to its end.
	Ready() bool
}

// Appender appends to the events log; *eventlog.Writer is one.
type Appender interface {
	// Append returns when the brokers acknowledged all records. It does not use their bytes afterwards.
	Append(ctx context.Context, recs []eventlog.Record) error
}

// Deps are what a Collector works with. Clock may be nil.
type Deps struct {
	Registry   Registry
	Log        Appender
	Registerer prometheus.Registerer
	Logger     *slog.Logger
	// Clock tells the time of receipt; default time.Now.
	Clock func() time.Time
}

// Collector takes events. Register its handlers, then Run it.
type Collector struct {
	cfg      Config
	registry Registry
	sink     *sink
	budget   *semaphore.Weighted
	robots   *robots.List
	limits   limits
	refusals *refusals
	metrics  *metrics
	log      *slog.Logger
	clock    func() time.Time
	batches  sync.Pool
	sealers  sync.Map // workspace id -> *sealerOf

	// draining is closed when Run is told to stop: streams end, single requests are still answered.
	draining  chan struct{}
	drainOnce sync.Once
	inFlight  inFlight
}

// New makes a collector. Nothing happens before Run, except that the spool's directory is opened.
func New(cfg Config, deps Deps) (*Collector, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configuring the collector: %w", err)
	}
	list, err := robots.New(cfg.RobotExceptions...)
	if err != nil {
		return nil, fmt.Errorf("making the collector: %w", err)
	}
	c := &Collector{
		cfg: cfg, registry: deps.Registry, robots: list, log: deps.Logger, clock: deps.Clock,
		budget: semaphore.NewWeighted(cfg.ByteBudget), draining: make(chan struct{}),
	}
	if c.clock == nil {
		c.clock = time.Now
	}
	c.batches.New = func() any { return new(batch) }
	var store *spool.Spool
	if cfg.SpoolDir != "" {
		if store, err = spool.Open(spool.Config{Dir: cfg.SpoolDir, MaxBytes: cfg.SpoolBytes}, deps.Logger); err != nil {
			return nil, fmt.Errorf("making the collector: %w", err)
		}
	}
	if c.metrics, err = newMetrics(deps.Registerer, store, c.clock); err != nil {
		return nil, fmt.Errorf("making the collector: %w", err)
	}
	c.sink = newSink(deps.Log, store, cfg, c.metrics, deps.Logger, c.clock)
	c.refusals = newRefusals(c.metrics)
	return c, nil
}

// Drain makes streams end with UNAVAILABLE once what they sent is answered, so that their clients go elsewhere. Run calls it
// when it is told to stop; call it before, when readiness is withdrawn.
func (c *Collector) Drain() { c.drainOnce.Do(func() { close(c.draining) }) }

// Run delivers the spool and the refusal counts until ctx ends. Then it waits for the requests in flight, appends the last
// counts and closes the spool; what that holds is delivered by the next run.
func (c *Collector) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return c.sink.run(ctx) })
	group.Go(func() error { return c.flushRefusals(ctx) })
	err := group.Wait()
	c.Drain()
	// Requests end by themselves: each waits for the log no longer than its timeout.
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*c.cfg.AppendTimeout)
	defer cancel()
	err = errors.Join(err, c.inFlight.wait(drain))
	c.appendRefusals(drain)
	return errors.Join(err, c.sink.close())
}

// sealerOf is a workspace's token sealer and the key that it was made from.
type sealerOf struct {
	workspace *registry.Workspace
	sealer    *clicktoken.Sealer
}

// sealer returns the token sealer of a workspace. Making one costs more than using it.
func (c *Collector) sealer(w *registry.Workspace) (*clicktoken.Sealer, error) {
	id := w.GetWorkspaceId()
	if known, ok := c.sealers.Load(id); ok && known.(*sealerOf).workspace == w {
		return known.(*sealerOf).sealer, nil
	}
	s, err := clicktoken.NewSealer(id, w.TokenKey)
	if err != nil {
		return nil, fmt.Errorf("workspace %s: %w", id, err)
	}
	c.sealers.Store(id, &sealerOf{w, s})
	return s, nil
}

// inFlight counts requests.
type inFlight struct {
	mu    sync.Mutex
	n     int
	empty chan struct{}
}

func (f *inFlight) add() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n++
}

func (f *inFlight) done() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.n--; f.n == 0 && f.empty != nil {
		close(f.empty)
		f.empty = nil
	}
}

func (f *inFlight) wait(ctx context.Context) error {
	f.mu.Lock()
	if f.n == 0 {
		f.mu.Unlock()
		return nil
	}
	if f.empty == nil {
		f.empty = make(chan struct{})
	}
	empty := f.empty
	f.mu.Unlock()
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for requests in flight: %w", ctx.Err())
	}
}
