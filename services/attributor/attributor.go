package attributor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/aftertouch-io/aftertouch/internal/attribution"
	"github.com/aftertouch-io/aftertouch/internal/eventlog"
	"github.com/prometheus/client_golang/prometheus"
)

// Deps are what the attributor works with. All are needed, except Deriver.
type Deps struct {
	Client      *eventlog.Client
	Epoch       eventlog.EpochInfo
	Writer      Appender
	DeadLetters DeadLetters
	Registry    Registry
	Sink        Sink
	Stores      Stores
	// Deriver is run by the process that has partition 0.
	Deriver Runner
	Log     *slog.Logger
	Metrics prometheus.Registerer
}

// Attributor is one member of the group that shares the log's partitions.
type Attributor struct {
	cfg      Config
	deps     Deps
	metrics  *metrics
	statuses statuses
	newCore  func(State) (core, error)
}

// New makes an attributor; nothing happens before Run.
func New(cfg Config, deps Deps) (*Attributor, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	a := &Attributor{cfg: cfg, deps: deps}
	m, err := newMetrics(deps.Metrics, &a.statuses)
	if err != nil {
		return nil, fmt.Errorf("registering metrics: %w", err)
	}
	a.metrics = m
	a.newCore = func(s State) (core, error) {
		return attribution.NewPartition(s, deps.Registry, attribution.Config{CacheBytes: cfg.CoreCacheBytes})
	}
	return a, nil
}

// Run shares the partitions with the group's other members until ctx ends; then it finishes the batches under way and
// returns nil. It fails with [ErrLogWentBackwards], whose message names the remedy.
func (a *Attributor) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	cfg := eventlog.GroupConfig{
		GroupID: a.cfg.Group, Epoch: a.deps.Epoch,
		SessionTimeout: a.cfg.SessionTimeout, HeartbeatInterval: a.cfg.HeartbeatInterval,
		// A batch under way is finished before the partition is let go.
		RebalanceTimeout: a.cfg.DrainTimeout + 20*time.Second,
		Stopped:          func(partition int, _ error) { a.statuses.stop(partition) },
	}
	err := eventlog.RunGroup(ctx, a.deps.Client, cfg, a.deps.Log, func(ctx context.Context, as *eventlog.Assignment) error {
		err := a.handle(ctx, as)
		if errors.Is(err, ErrLogWentBackwards) {
			cancel(err)
		}
		return err
	})
	if cause := context.Cause(ctx); errors.Is(cause, ErrLogWentBackwards) {
		return fmt.Errorf("attributing: %w", cause)
	}
	if err != nil {
		return fmt.Errorf("attributing: %w", err)
	}
	return nil
}

// handle works on one partition until ctx ends.
func (a *Attributor) handle(ctx context.Context, src Log) error {
	p := &partition{
		cfg: &a.cfg, deps: &a.deps, epoch: a.deps.Epoch, id: int32(src.PartitionID()), src: src, stores: a.deps.Stores,
		log: a.deps.Log.With("partition", src.PartitionID()), metrics: a.metrics, status: a.statuses.add(src.PartitionID()), newCore: a.newCore,
	}
	defer func() {
		// A stopped partition stays visible until its generation ends.
		context.AfterFunc(ctx, func() { a.statuses.remove(p.status) })
	}()
	err := p.run(ctx)
	if ctx.Err() != nil && (err == nil || errors.Is(err, context.Canceled) && !errors.Is(err, ErrLogWentBackwards)) {
		return nil
	}
	if err != nil && !errors.Is(err, eventlog.ErrFenced) {
		a.metrics.failures.WithLabelValues(p.label()).Inc()
	}
	return err
}

// Lag returns how far each partition that this process has is behind, by number.
func (a *Attributor) Lag() []Lag { return a.statuses.lags(time.Now()) }

// Ready returns nil when every partition that this process has is restored, has caught up with what was in the log when
// the process took it, and has not stopped; else an error that says what is missing.
func (a *Attributor) Ready() error {
	var errs []error
	for _, l := range a.Lag() {
		switch {
		case l.Stopped:
			errs = append(errs, fmt.Errorf("partition %d has stopped", l.Partition))
		case !l.CaughtUp:
			errs = append(errs, fmt.Errorf("partition %d is %d records behind", l.Partition, l.Records))
		}
	}
	return errors.Join(errs...)
}
