package attributor

import (
	"context"
	"errors"
	"sync"

	"github.com/aftertouch-io/aftertouch/internal/eventlog"
	"github.com/aftertouch-io/aftertouch/internal/state"
	"github.com/aftertouch-io/aftertouch/internal/store"
)

var errCrash = errors.New("crash")

// faults makes calls of ports fail: the n-th one (counted from 1), before or after it has done its work.
type faults struct {
	mu    sync.Mutex
	plan  map[string][]int
	calls map[string]int
	hits  int
}

func (f *faults) fail(point string, calls ...int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.plan == nil {
		f.plan, f.calls = map[string][]int{}, map[string]int{}
	}
	f.plan[point] = calls
}

func (f *faults) crashed(point string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.plan == nil {
		return false
	}
	f.calls[point]++
	for _, n := range f.plan[point] {
		if n == f.calls[point] {
			f.hits++
			return true
		}
	}
	return false
}

func (f *faults) around(step string, do func() error) error {
	if f.crashed("before " + step) {
		return errCrash
	}
	if err := do(); err != nil {
		return err
	}
	if f.crashed("after " + step) {
		return errCrash
	}
	return nil
}

type faultyAppender struct {
	Appender
	f *faults
}

func (a faultyAppender) Append(ctx context.Context, recs []eventlog.Record) error {
	return a.f.around("produce", func() error { return a.Appender.Append(ctx, recs) })
}

type faultySink struct {
	Sink
	f *faults
}

func (s faultySink) Insert(ctx context.Context, b *store.Batch) error {
	return s.f.around("insert", func() error { return s.Sink.Insert(ctx, b) })
}

type faultyStores struct {
	Stores
	f *faults
}

func (s faultyStores) wrap(st State, err error) (State, error) {
	if err != nil {
		return nil, err
	}
	return faultyState{st, s.f}, nil
}

func (s faultyStores) Open(epoch uint16, partition int32) (State, error) {
	return s.wrap(s.Stores.Open(epoch, partition))
}

func (s faultyStores) Create(epoch uint16, partition int32, meta state.Meta) (State, error) {
	return s.wrap(s.Stores.Create(epoch, partition, meta))
}

func (s faultyStores) Restore(ctx context.Context, epoch uint16, partition int32, usable func(state.Meta) error) (State, error) {
	return s.wrap(s.Stores.Restore(ctx, epoch, partition, usable))
}

// realState has another name than its method State.
type realState = State

type faultyState struct {
	realState
	f *faults
}

func (s faultyState) Commit(b *state.Batch, p state.Progress) error {
	return s.f.around("commit", func() error { return s.realState.Commit(b, p) })
}

// discard stands for a log that holds the messages already.
type discard struct{}

func (discard) Append(context.Context, []eventlog.Record) error { return nil }
