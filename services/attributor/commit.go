package attributor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aftertouch-io/aftertouch/internal/eventlog"
	"github.com/aftertouch-io/aftertouch/internal/state"
	"github.com/aftertouch-io/aftertouch/internal/store"
	"google.golang.org/protobuf/encoding/protowire"
)

// step carries the records from index i on through the five steps of the protocol, as many as fill a batch, and returns
// the index of the first one that is left.
func (p *partition) step(ctx context.Context, in *input, i int) (int, error) {
	began := time.Now()
	j, err := p.apply(in, i)
	if err != nil || j == i {
		return j, err
	}
	if err := p.writeLetters(ctx, in); err != nil {
		return i, err
	}
	if err := p.produce(ctx); err != nil {
		return i, err
	}
	last := &in.msgs[j-1]
	progress := state.Progress{
		From: p.state.Meta().Next, Next: last.Offset + 1, Clock: p.clock,
		Last: state.MarkOf(last.Time.UnixMilli(), last.Key, last.Value),
	}
	if err := p.insert(ctx, progress); err != nil {
		return i, err
	}
	if err := p.commit(progress); err != nil {
		return i, err
	}
	p.applied(in, i, j, began)
	return j, p.commitOffset(ctx, progress.Next)
}

// appendBytes bounds the messages of one append: the writer's memory is shared.
const appendBytes = 4 << 20

// produce is step 2: the messages of the batch are acknowledged before anything depends on their having been sent.
// Repeating them is harmless, receivers know them by their ids.
func (p *partition) produce(ctx context.Context) error {
	if len(p.effects.Messages) == 0 {
		return nil
	}
	defer p.metrics.observe(stageProduce, time.Now())
	offset := max(p.deps.Registry.Offset(), 0)
	size := 0
	send := func() error {
		err := p.retry(ctx, stageProduce, func() error { return p.deps.Writer.Append(ctx, p.records) })
		clear(p.records)
		p.records, size = p.records[:0], 0
		return err
	}
	p.records = p.records[:0]
	for i := range p.effects.Messages {
		m := &p.effects.Messages[i]
		r := eventlog.Record{Key: []byte(m.To.Key()), Value: withRegistryOffset(m.Value, offset)}
		if n := len(r.Key) + len(r.Value); size+n > appendBytes && size > 0 {
			if err := send(); err != nil {
				return err
			}
		}
		size += len(r.Key) + len(r.Value)
		p.records = append(p.records, r)
	}
	return send()
}

// withRegistryOffset says in the record that whoever reads it needs the registry as it is here: the message names versions
// that its receiver may not have yet. Fields of a record may come in any order.
func withRegistryOffset(value []byte, offset int64) []byte {
	const fieldRegistryOffset = 1
	b := make([]byte, 0, len(value)+protowire.SizeTag(fieldRegistryOffset)+protowire.SizeVarint(uint64(offset)))
	b = protowire.AppendTag(b, fieldRegistryOffset, protowire.VarintType)
	b = protowire.AppendVarint(b, uint64(offset))
	return append(b, value...)
}

// insert is step 3. The store repeats what may help as it is, for a time of its own.
func (p *partition) insert(ctx context.Context, to state.Progress) error {
	defer p.metrics.observe(stageInsert, time.Now())
	err := p.deps.Sink.Insert(ctx, &store.Batch{
		Epoch: p.epoch.Number, Partition: p.id, From: to.From, To: to.Next, Timestamp: to.Last.Timestamp,
		Effects: &p.effects, IdentityKey: p.deps.Registry.IdentityKey,
	})
	if err != nil {
		p.metrics.errors.WithLabelValues(stageInsert).Inc()
		return p.judge(err)
	}
	return nil
}

// commit is step 4. It is not tried again: after an error only opening the store again shows what is durable.
func (p *partition) commit(to state.Progress) error {
	defer p.metrics.observe(stageCommit, time.Now())
	if err := p.state.Commit(p.batch, to); err != nil {
		p.metrics.errors.WithLabelValues(stageCommit).Inc()
		return fmt.Errorf("committing state of partition %d: %w", p.id, err)
	}
	for offset := range p.aside {
		if offset < to.Next {
			delete(p.aside, offset)
		}
	}
	return nil
}

// commitOffset is step 5.
func (p *partition) commitOffset(ctx context.Context, next int64) error {
	defer p.metrics.observe(stageOffset, time.Now())
	err := p.src.CommitOffset(ctx, next)
	if errors.Is(err, eventlog.ErrFenced) {
		p.metrics.fenced.Inc()
		p.log.Info("another member has the partition", "next", next)
		return err
	}
	if err != nil {
		p.metrics.errors.WithLabelValues(stageOffset).Inc()
	}
	return err
}

func (p *partition) applied(in *input, i, j int, began time.Time) {
	p.status.advance(in.msgs[j-1].Offset + 1)
	p.metrics.count(p.label(), in, i, j, &p.effects)
	p.metrics.batchSeconds.Observe(time.Since(began).Seconds())
}

// judge names the partition in a step's error, and lets the partition stop, with an alert, when trying again cannot help.
func (p *partition) judge(err error) error {
	err = fmt.Errorf("partition %d: %w", p.id, err)
	if errors.Is(err, store.ErrPermanent) || errors.Is(err, eventlog.ErrRecordTooLarge) {
		return fmt.Errorf("%w: %w", eventlog.ErrStopPartition, err)
	}
	return err
}

// retry repeats a step as it is until it succeeds, its time is over, or trying again cannot help.
func (p *partition) retry(ctx context.Context, stage string, f func() error) error {
	pace := newRetry(p.cfg.RetryFor)
	for {
		err := f()
		if err == nil {
			return nil
		}
		p.metrics.errors.WithLabelValues(stage).Inc()
		if err = p.judge(err); errors.Is(err, eventlog.ErrStopPartition) {
			return err
		}
		p.log.Warn("step failed, trying again", "stage", stage, "error", err)
		if err := pace.wait(ctx, err); err != nil {
			return err
		}
	}
}
