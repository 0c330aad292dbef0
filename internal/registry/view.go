package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/attribution"
	"github.com/aftertouch-io/aftertouch/internal/eventlog"
	"github.com/aftertouch-io/aftertouch/internal/privacy"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/segmentio/kafka-go"
)

// ErrTruncated reports a registry topic that has lost its beginning; it holds what is agreed, for ever.
var ErrTruncated = errors.New("the registry topic has lost records")

// View is the registry as of now, in memory. It is safe for concurrent use; reads take no lock.
type View struct {
	partition *eventlog.Partition
	master    *privacy.MasterKey
	log       *slog.Logger
	metrics   *viewMetrics
	snapshot  atomic.Pointer[Snapshot]
	ready     atomic.Bool

	mu      sync.Mutex
	changed chan struct{} // closed at the next snapshot
}

// NewView makes a view that is empty until Run reads the topic.
func NewView(c *eventlog.Client, master *privacy.MasterKey, reg prometheus.Registerer, log *slog.Logger) (*View, error) {
	v := &View{
		partition: c.Partition(eventlog.RegistryTopic, 0, ""),
		master:    master, log: log, changed: make(chan struct{}),
	}
	v.snapshot.Store(emptySnapshot())
	var err error
	v.metrics, err = newViewMetrics(reg, v)
	return v, err
}

// Run reads the topic until ctx ends; then it returns nil. It fails with privacy.ErrWrongMasterKey when a workspace's keys
// were sealed under another master key, and with ErrTruncated; errors of the brokers are logged and tried again.
func (v *View) Run(ctx context.Context) error {
	end := int64(-1)
	backoff := 100 * time.Millisecond
	for ctx.Err() == nil {
		err := v.step(ctx, &end)
		if err == nil {
			backoff = 100 * time.Millisecond
			continue
		}
		if errors.Is(err, privacy.ErrWrongMasterKey) || errors.Is(err, ErrTruncated) {
			return fmt.Errorf("reading the registry: %w", err)
		}
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the read failed because the service ends
		}
		v.metrics.errors.Inc()
		v.log.Warn("reading the registry failed, trying again", "offset", v.Offset(), "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(backoff):
		}
		backoff = min(2*backoff, 5*time.Second)
	}
	return nil
}

// step finds the end once, then reads and applies what is there.
func (v *View) step(ctx context.Context, end *int64) error {
	if *end < 0 {
		first, last, err := v.partition.Range(ctx)
		if err != nil {
			return err
		}
		if first > 0 {
			return fmt.Errorf("%w: it begins at offset %d; remedy: restore the topic %s from a copy", ErrTruncated, first, eventlog.RegistryTopic)
		}
		*end = last
	}
	if !v.ready.Load() && v.Offset() >= *end {
		v.ready.Store(true)
		v.log.Info("registry is read", "offset", v.Offset())
	}
	msgs, err := v.partition.Read(ctx, v.Offset(), eventlog.ReadLimits{})
	if errors.Is(err, eventlog.ErrOffsetOutOfRange) {
		return fmt.Errorf("%w: offset %d is gone; remedy: restore the topic %s from a copy", ErrTruncated, v.Offset(), eventlog.RegistryTopic)
	}
	if err != nil {
		return err
	}
	return v.apply(msgs)
}

func (v *View) apply(msgs []kafka.Message) error {
	if len(msgs) == 0 {
		return nil
	}
	b := newBatch(v.Snapshot(), v.master)
	for i := range msgs {
		err := b.apply(msgs[i].Key, msgs[i].Value)
		switch {
		case errors.Is(err, errIgnored):
			v.metrics.ignored.Inc()
			v.log.Debug("registry record ignored", "offset", msgs[i].Offset, "error", err)
		case err != nil:
			return err
		}
	}
	v.metrics.applied.Add(float64(len(msgs)))
	v.publish(b.snapshot(msgs[len(msgs)-1].Offset + 1))
	return nil
}

func (v *View) publish(s *Snapshot) {
	v.snapshot.Store(s)
	v.mu.Lock()
	defer v.mu.Unlock()
	close(v.changed)
	v.changed = make(chan struct{})
}

// Snapshot returns the registry as of now; what is read from one snapshot agrees.
func (v *View) Snapshot() *Snapshot { return v.snapshot.Load() }

// Ready reports whether everything that was in the topic when Run began has been applied.
func (v *View) Ready() bool { return v.ready.Load() }

// WaitReady returns when the view is ready, or with the error of ctx.
func (v *View) WaitReady(ctx context.Context) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !v.Ready() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the registry to be read: %w", ctx.Err())
		case <-tick.C:
		}
	}
	return nil
}

// Offset returns the offset of the first record that is not yet applied. Stamp it after the reads that it stands for.
func (v *View) Offset() int64 { return v.Snapshot().offset }

// WaitFor returns when every record before the offset is applied, so that Offset is at least that; or with the error of ctx.
func (v *View) WaitFor(ctx context.Context, offset int64) error {
	for {
		if v.Offset() >= offset {
			return nil
		}
		v.mu.Lock()
		changed := v.changed
		v.mu.Unlock()
		if v.Offset() >= offset {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting for registry offset %d, at %d: %w", offset, v.Offset(), ctx.Err())
		}
	}
}

// Workspace is Snapshot.Workspace as of now. So are the following.
func (v *View) Workspace(id string) (*Workspace, bool) { return v.Snapshot().Workspace(id) }

// KeyByHash returns the newest version of the key with the SHA-256, revoked or not.
func (v *View) KeyByHash(sum [32]byte) (*Key, bool) { return v.Snapshot().KeyByHash(sum) }

// Creator returns the newest version.
func (v *View) Creator(workspace, id string) (*aftertouchv1.Creator, bool) {
	return v.Snapshot().Creator(workspace, id)
}

// Campaign returns the newest version.
func (v *View) Campaign(workspace, id string) (*aftertouchv1.Campaign, bool) {
	return v.Snapshot().Campaign(workspace, id)
}

// Link returns the newest version, whatever its workspace.
func (v *View) Link(id string) (*Link, bool) { return v.Snapshot().Link(id) }

// Code returns the newest version of a promo code, which is compared trimmed and upper-cased.
func (v *View) Code(workspace, code string) (*aftertouchv1.Code, bool) {
	return v.Snapshot().Code(workspace, code)
}

// Placement returns the newest version.
func (v *View) Placement(workspace, id string) (*aftertouchv1.Placement, bool) {
	return v.Snapshot().Placement(workspace, id)
}

// TermsAt returns the terms in force at a time in Unix ms; see Snapshot.TermsAt.
func (v *View) TermsAt(workspace, agreementID string, timeMs int64) (t *aftertouchv1.Terms, inForce bool) {
	return v.Snapshot().TermsAt(workspace, agreementID, timeMs)
}

// Agreement returns what one version says about credit. It implements attribution.Terms.
func (v *View) Agreement(workspace, agreementID string, version uint32) (attribution.AgreementTerms, bool) {
	return v.Snapshot().Agreement(workspace, agreementID, version)
}

// Epoch returns the newest epoch of the events topic; false before there is one.
func (v *View) Epoch() (eventlog.EpochInfo, bool) { return v.Snapshot().Epoch() }

var _ attribution.Terms = (*View)(nil)
