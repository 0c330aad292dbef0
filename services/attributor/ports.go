package attributor

import (
	"context"
	"time"

	"github.com/aftertouch-io/aftertouch/internal/attribution"
	"github.com/aftertouch-io/aftertouch/internal/event"
	"github.com/aftertouch-io/aftertouch/internal/eventlog"
	"github.com/aftertouch-io/aftertouch/internal/registry"
	"github.com/aftertouch-io/aftertouch/internal/state"
	"github.com/aftertouch-io/aftertouch/internal/store"
	"github.com/segmentio/kafka-go"
)

// Log is one partition of the events log in one generation of the group. It is [eventlog.Assignment].
type Log interface {
	PartitionID() int
	// CommittedOffset is the group's offset when the generation began; -1 when there was none.
	CommittedOffset() int64
	// Range returns the offset of the first record held and that after the last one.
	Range(ctx context.Context) (start, end int64, err error)
	// Read returns records from the offset on, in order; none when there are none within the limits' wait.
	Read(ctx context.Context, from int64, limits eventlog.ReadLimits) ([]kafka.Message, error)
	// CommitOffset fails with [eventlog.ErrFenced] when the generation is over.
	CommitOffset(ctx context.Context, next int64) error
}

// Appender appends messages to the log. It is [eventlog.Writer].
type Appender interface {
	// Append returns when all records are acknowledged; after an error any of them may be in the log.
	Append(ctx context.Context, recs []eventlog.Record) error
}

// DeadLetters keeps records that cannot be applied. It is [eventlog.DeadLetters].
type DeadLetters interface {
	Write(ctx context.Context, original kafka.Message, reason string) error
}

// Sink writes rows. It is [store.Store].
type Sink interface {
	// Insert writes the batch's rows, progress last, and repeats what may help. After an error any part may have been
	// written; inserting the same records' rows again is harmless. It fails with [store.ErrPermanent] when the engine
	// refuses a row for good.
	Insert(ctx context.Context, b *store.Batch) error
}

// Registry reads the registry as this process has materialised it. [RegistryView] makes one of a [registry.View].
type Registry interface {
	attribution.Terms
	// Offset is the newest registry offset that has been applied, WaitFor waits until it is at least offset.
	Offset() int64
	WaitFor(ctx context.Context, offset int64) error
	// IdentityKey returns the key that the workspace's row identities are made with; nil for an unknown workspace.
	IdentityKey(workspace string) []byte
}

// RegistryView lets the attributor read v.
func RegistryView(v *registry.View) Registry { return registryView{v} }

type registryView struct{ *registry.View }

// IdentityKey implements Registry.
func (v registryView) IdentityKey(workspace string) []byte {
	w, ok := v.Workspace(workspace)
	if !ok {
		return nil
	}
	return w.IdentityKey
}

// State is the entity state of one partition. It is [state.Store].
type State interface {
	attribution.Store
	Meta() state.Meta
	NewBatch(clock int64) *state.Batch
	// Expired returns entities that the horizon has passed.
	Expired(clock int64) ([]event.Address, error)
	Commit(b *state.Batch, p state.Progress) error
	// Snapshot and SnapshotDue may be called beside the other methods.
	Snapshot(ctx context.Context) (int64, error)
	SnapshotDue(now time.Time) bool
	Path() string
	Close() error
}

// Stores opens, makes and restores the state of partitions. [StateDir] makes one of a [state.Dir].
type Stores interface {
	Open(epoch uint16, partition int32) (State, error)
	Create(epoch uint16, partition int32, meta state.Meta) (State, error)
	Restore(ctx context.Context, epoch uint16, partition int32, usable func(state.Meta) error) (State, error)
}

// Runner is work that one process at a time does: whoever owns partition 0. Run blocks until ctx ends.
type Runner interface {
	Run(ctx context.Context) error
}

// StateDir lets the attributor keep its state in d.
func StateDir(d *state.Dir) Stores { return stateDir{d} }

type stateDir struct{ d *state.Dir }

// opened keeps a nil store from becoming a State that is not nil.
func opened(s *state.Store, err error) (State, error) {
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Open implements Stores.
func (s stateDir) Open(epoch uint16, partition int32) (State, error) {
	return opened(s.d.Open(epoch, partition))
}

// Create implements Stores.
func (s stateDir) Create(epoch uint16, partition int32, meta state.Meta) (State, error) {
	return opened(s.d.Create(epoch, partition, meta))
}

// Restore implements Stores.
func (s stateDir) Restore(ctx context.Context, epoch uint16, partition int32, usable func(state.Meta) error) (State, error) {
	return opened(s.d.Restore(ctx, epoch, partition, usable))
}
