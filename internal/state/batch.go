package state

import (
	"fmt"

	"github.com/aftertouch-io/aftertouch/internal/event"
	"github.com/cockroachdb/pebble/v2"
)

// Batch gathers the changes of one commit. It implements the core's Changes. It is written by one goroutine.
type Batch struct {
	b   *pebble.Batch
	day uint16
}

// NewBatch returns an empty batch whose changes happen at a partition clock, Unix ms: state expires a horizon after its
// last change.
func (s *Store) NewBatch(clock int64) *Batch {
	return &Batch{b: s.db.NewBatch(), day: logDay(clock)}
}

// Reset empties the batch for changes at another partition clock and keeps its memory.
func (b *Batch) Reset(clock int64) {
	b.b.Reset()
	b.day = logDay(clock)
}

// Close frees the batch.
func (b *Batch) Close() error { return b.b.Close() }

// Len returns the size of the changes, in bytes.
func (b *Batch) Len() int { return b.b.Len() }

// Append adds a delta to the entity's state.
func (b *Batch) Append(entity event.Address, delta []byte) error {
	op := b.b.MergeDeferred(entityKeySize(entity), headerSize+len(delta))
	return b.finish(op, entity, delta)
}

// Replace puts a whole state in place of everything appended so far; an empty one removes the entity.
func (b *Batch) Replace(entity event.Address, state []byte) error {
	if len(state) == 0 {
		op := b.b.DeleteDeferred(entityKeySize(entity))
		appendEntityKey(op.Key[:0], entity)
		return op.Finish()
	}
	op := b.b.SetDeferred(entityKeySize(entity), headerSize+len(state))
	return b.finish(op, entity, state)
}

func (b *Batch) finish(op *pebble.DeferredBatchOp, entity event.Address, value []byte) error {
	appendEntityKey(op.Key[:0], entity)
	putDay(op.Value, b.day)
	copy(op.Value[headerSize:], value)
	if err := op.Finish(); err != nil {
		return fmt.Errorf("changing state: %w", err)
	}
	return nil
}

// PutEvent keeps a payload under its identity, replacing an earlier one.
func (b *Batch) PutEvent(entity event.Address, eventID string, logDay uint16, payload []byte) error {
	op := b.b.SetDeferred(eventKeySize(entity, eventID), len(payload))
	appendEventKey(op.Key[:0], entity, eventID, logDay)
	copy(op.Value, payload)
	if err := op.Finish(); err != nil {
		return fmt.Errorf("keeping event: %w", err)
	}
	return nil
}
