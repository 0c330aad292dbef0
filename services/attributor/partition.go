package attributor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/aftertouch-io/aftertouch/internal/attribution"
	"github.com/aftertouch-io/aftertouch/internal/event"
	"github.com/aftertouch-io/aftertouch/internal/eventlog"
	"github.com/aftertouch-io/aftertouch/internal/state"
	"golang.org/x/sync/errgroup"
)

// core decides what records mean: [attribution.Partition].
type core interface {
	Apply(rec *event.Record, out *attribution.Effects) error
	Expire(entity event.Address) error
	Commit(c attribution.Changes) error
}

// partition is one assignment at work. Its state belongs to the goroutine of work.
type partition struct {
	cfg     *Config
	deps    *Deps
	epoch   eventlog.EpochInfo
	id      int32
	src     Log
	stores  Stores
	log     *slog.Logger
	metrics *metrics
	status  *status

	state   State
	core    core
	newCore func(State) (core, error)
	batch   *state.Batch
	clock   int64
	effects attribution.Effects
	letters []letter
	records []eventlog.Record
	// aside holds the reasons of the records that cannot be applied, by offset, and bugs how many there have been.
	aside map[int64]string
	bugs  int
}

// run restores the partition and works on it until ctx ends or a step fails past its retries. Whatever it had not
// committed is dropped: the next run begins with what is durable, as after a crash.
func (p *partition) run(ctx context.Context) (err error) {
	st, err := p.restore(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	p.state, p.clock = st, st.Meta().Clock
	p.status.restored(st.Meta().Next)
	p.batch = st.NewBatch(p.clock)
	defer func() { err = errors.Join(err, p.batch.Close()) }()
	if err := p.reload(); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	r := newReader(p)
	g.Go(func() error { return r.fetch(ctx, st.Meta().Next) })
	g.Go(func() error { return r.gather(ctx) })
	g.Go(func() error { return p.keepHouse(ctx) })
	g.Go(func() error { return p.work(ctx, r) })
	if p.id == 0 && p.deps.Deriver != nil {
		g.Go(func() error { return p.derive(ctx) })
	}
	return g.Wait()
}

// reload makes a core that knows what is committed and nothing else.
func (p *partition) reload() error {
	c, err := p.newCore(p.state)
	if err != nil {
		return fmt.Errorf("loading partition %d: %w", p.id, err)
	}
	p.core = c
	return nil
}

// work carries batch after batch through the protocol.
func (p *partition) work(ctx context.Context, r *reader) error {
	// A batch that was begun is finished, within a time: what it has done so far would have to be repeated.
	work, stop := outlive(ctx, p.cfg.DrainTimeout)
	defer stop()
	for {
		var in *input
		select {
		case in = <-r.out:
		case <-ctx.Done():
			return ctx.Err()
		}
		p.status.begin(in.recs[0].Timestamp)
		if err := p.waitForRegistry(ctx, in.registryOffset); err != nil {
			return err
		}
		for done := 0; done < len(in.recs); {
			n, err := p.step(work, in, done)
			if err != nil {
				return err
			}
			done = n
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
		p.status.idle()
		select {
		case r.free <- in:
		default:
		}
	}
}

// outlive returns a context that ends grace after ctx.
func outlive(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	out, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		t := time.NewTimer(grace)
		defer t.Stop()
		select {
		case <-t.C:
		case <-out.Done():
		}
		cancel()
	})
	return out, func() { stop(); cancel() }
}

// waitForRegistry returns once the registry has everything that the records were stamped with (D7). It waits for ever, and
// says so: going on without would decide by other terms than those stamped.
func (p *partition) waitForRegistry(ctx context.Context, offset int64) error {
	began := time.Now()
	defer p.metrics.observe(stageRegistry, began)
	for {
		attempt, cancel := context.WithTimeout(ctx, 10*time.Second)
		err := p.deps.Registry.WaitFor(attempt, offset)
		cancel()
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case !errors.Is(err, context.DeadlineExceeded):
			return fmt.Errorf("waiting for registry offset %d: %w", offset, err)
		}
		p.log.Warn("waiting for the registry", "needs", offset, "has", p.deps.Registry.Offset(), "since", time.Since(began).Round(time.Second))
	}
}

// keepHouse keeps the log's end known while nothing can be read, and takes the daily snapshot.
func (p *partition) keepHouse(ctx context.Context) error {
	t := time.NewTicker(5 * time.Second)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
		if _, end, err := p.src.Range(ctx); err == nil {
			p.status.end(end)
		}
		if !p.state.SnapshotDue(time.Now()) {
			continue
		}
		began := time.Now()
		next, err := p.state.Snapshot(ctx)
		if err != nil {
			// The store is whole without it; the next tick tries again.
			p.log.Error("taking snapshot failed", "error", err)
			continue
		}
		p.log.Info("snapshot taken", "next", next, "took", time.Since(began).Round(time.Millisecond))
	}
}

// derive keeps the deriver running while this process owns partition 0. What it makes can be made again at any time, so
// its failures do not touch the partition.
func (p *partition) derive(ctx context.Context) error {
	pause := newRetry(1<<63 - 1)
	for {
		began := time.Now()
		err := p.deps.Deriver.Run(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if time.Since(began) > time.Minute {
			pause.reset()
		}
		p.metrics.errors.WithLabelValues(stageDerive).Inc()
		p.log.Error("deriving tables failed", "error", err)
		if err := pause.wait(ctx, fmt.Errorf("deriving tables: %w", err)); err != nil {
			return err
		}
	}
}
