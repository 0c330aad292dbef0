package attributor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aftertouch-io/aftertouch/internal/event"
	"github.com/aftertouch-io/aftertouch/internal/eventlog"
	"github.com/segmentio/kafka-go"
)

// input is a run of consecutive records, decoded.
type input struct {
	msgs []kafka.Message
	// recs are the decoded messages, by the same index; errs says which could not be decoded.
	recs  []event.Record
	errs  map[int]error
	bytes int
	// registryOffset is the highest one that a record names.
	registryOffset int64
}

func (in *input) reset() {
	clear(in.msgs)
	clear(in.recs)
	clear(in.errs)
	*in = input{msgs: in.msgs[:0], recs: in.recs[:0], errs: in.errs}
}

// maxKey bounds a record's key: an address of three percent-encoded ids fits.
const maxKey = 4096

// add decodes a message. Content never fails it.
func (in *input) add(m kafka.Message, epoch uint16) {
	in.msgs = append(in.msgs, m)
	in.recs = append(in.recs, event.Record{})
	r := &in.recs[len(in.recs)-1]
	in.bytes += len(m.Key) + len(m.Value)
	err := errKeyTooLong
	if len(m.Key) <= maxKey {
		err = event.Decode(m.Key, m.Value, r)
	}
	r.Position = event.Position{Epoch: epoch, Partition: int32(m.Partition), Offset: m.Offset}
	r.Timestamp = m.Time.UnixMilli()
	if err != nil {
		if in.errs == nil {
			in.errs = map[int]error{}
		}
		in.errs[len(in.recs)-1] = err
		return
	}
	in.registryOffset = max(in.registryOffset, r.RegistryOffset)
}

var errKeyTooLong = fmt.Errorf("%w: key is longer than %d bytes", event.ErrUndecodable, maxKey)

// reader fetches and decodes ahead of the partition's goroutine, so that the next batch is ready when the present one is
// committed. It runs on two goroutines: fetching waits for the brokers, gathering waits for the partition.
type reader struct {
	src    Log
	cfg    *Config
	epoch  uint16
	status *status
	// out hands batches over, free brings their memory back.
	out, free chan *input
	fetched   chan []kafka.Message
}

func newReader(p *partition) *reader {
	return &reader{
		src: p.src, cfg: p.cfg, epoch: p.epoch.Number, status: p.status,
		out: make(chan *input), free: make(chan *input, 2), fetched: make(chan []kafka.Message, 2),
	}
}

// fetch reads from the offset on until ctx ends or reading fails for longer than RetryFor.
func (r *reader) fetch(ctx context.Context, from int64) error {
	limits := eventlog.ReadLimits{MaxBytes: min(r.cfg.MaxBytes, 4<<20), MaxWait: r.cfg.PollWait}
	retry := newRetry(r.cfg.RetryFor)
	for {
		msgs, err := r.src.Read(ctx, from, limits)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, eventlog.ErrOffsetOutOfRange), errors.Is(err, eventlog.ErrEpoch):
			return err
		case err != nil:
			if err := retry.wait(ctx, err); err != nil {
				return err
			}
			continue
		}
		retry.reset()
		if len(msgs) == 0 {
			r.status.end(from)
			continue
		}
		last := &msgs[len(msgs)-1]
		from = last.Offset + 1
		r.status.end(max(last.HighWaterMark, from))
		select {
		case r.fetched <- msgs:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// gather decodes what was fetched into a batch until the partition takes it: at once when it is idle, every MinInterval
// when records trickle in, and as soon as it is done with the last one under load, with all that came meanwhile.
func (r *reader) gather(ctx context.Context) error {
	in := &input{}
	var pause <-chan time.Time
	var rest []kafka.Message
	for {
		full := len(in.msgs) >= r.cfg.MaxRecords || in.bytes >= r.cfg.MaxBytes
		for ; !full && len(rest) > 0; rest = rest[1:] {
			in.add(rest[0], r.epoch)
			full = len(in.msgs) >= r.cfg.MaxRecords || in.bytes >= r.cfg.MaxBytes
		}
		var from chan []kafka.Message
		var to chan *input
		if !full {
			from = r.fetched
		}
		if full || len(in.msgs) > 0 && pause == nil {
			to = r.out
		}
		select {
		case rest = <-from:
		case to <- in:
			if r.cfg.MinInterval > 0 {
				pause = time.After(r.cfg.MinInterval)
			}
			in = r.next()
		case <-pause:
			pause = nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (r *reader) next() *input {
	select {
	case in := <-r.free:
		in.reset()
		return in
	default:
		return &input{}
	}
}
