package eventlog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/segmentio/kafka-go"
)

// ErrOffsetOutOfRange reports an offset before the first or after the last one that the partition holds.
var ErrOffsetOutOfRange = errors.New("offset out of range")

// ErrEpoch reports a record of another epoch: the topic is not the one that the registry names (D8).
var ErrEpoch = errors.New("record of another epoch")

// ReadLimits bound one read.
type ReadLimits struct {
	// MaxBytes bounds what the brokers send; a batch is sent whole even when it is larger. Default 4 MiB.
	MaxBytes int
	// MaxWait is how long the brokers wait for the first record. Default 500 ms.
	MaxWait time.Duration
}

// Partition reads and writes one partition, without a group.
type Partition struct {
	client *Client
	topic  string
	id     int
	// epoch that records must carry; empty for topics without epochs.
	epoch string
}

// Partition returns a plain reader of a topic's partition. With an epoch, records without its id end reading.
func (c *Client) Partition(topic string, id int, epoch string) *Partition {
	return &Partition{client: c, topic: topic, id: id, epoch: epoch}
}

// Range returns the offset of the first record held and that after the last one. It waits up to a few seconds for a leader.
func (p *Partition) Range(ctx context.Context) (start, end int64, err error) {
	const attempts = 6
	for i := range attempts {
		start, end, err = p.rangeOnce(ctx)
		if err == nil {
			return start, end, nil
		}
		if !retriable(err) || ctx.Err() != nil || i == attempts-1 {
			break
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond << i):
		}
	}
	return 0, 0, fmt.Errorf("listing offsets of %s/%d: %w", p.topic, p.id, err)
}

func (p *Partition) rangeOnce(ctx context.Context) (start, end int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	res, err := p.client.kafka.ListOffsets(ctx, &kafka.ListOffsetsRequest{
		Topics: map[string][]kafka.OffsetRequest{p.topic: {kafka.FirstOffsetOf(p.id), kafka.LastOffsetOf(p.id)}},
	})
	if err != nil {
		return 0, 0, err
	}
	for _, o := range res.Topics[p.topic] {
		if o.Partition == p.id {
			return o.FirstOffset, o.LastOffset, o.Error
		}
	}
	return 0, 0, kafka.UnknownTopicOrPartition
}

// Read returns records from the offset on, in order; none when there are none within MaxWait. Errors: ErrOffsetOutOfRange,
// ErrEpoch, and those of the brokers, which another call may cure.
func (p *Partition) Read(ctx context.Context, from int64, limits ReadLimits) ([]kafka.Message, error) {
	setDefault(&limits.MaxBytes, 4<<20)
	setDefault(&limits.MaxWait, 500*time.Millisecond)
	ctx, cancel := context.WithTimeout(ctx, limits.MaxWait+requestTimeout)
	defer cancel()
	res, err := p.client.kafka.Fetch(ctx, &kafka.FetchRequest{
		Topic: p.topic, Partition: p.id, Offset: from, MinBytes: 1, MaxBytes: int64(limits.MaxBytes), MaxWait: limits.MaxWait,
	})
	if err == nil {
		err = res.Error
	}
	if errors.Is(err, kafka.OffsetOutOfRange) {
		return nil, fmt.Errorf("reading %s/%d from %d: %w", p.topic, p.id, from, ErrOffsetOutOfRange)
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s/%d from %d: %w", p.topic, p.id, from, err)
	}
	return p.messages(res, from)
}

func (p *Partition) messages(res *kafka.FetchResponse, from int64) ([]kafka.Message, error) {
	var msgs []kafka.Message
	for {
		r, err := res.Records.ReadRecord()
		if errors.Is(err, io.EOF) {
			return msgs, nil
		}
		if err != nil {
			return nil, fmt.Errorf("decoding %s/%d: %w", p.topic, p.id, err)
		}
		if r.Offset < from {
			continue
		}
		m, err := p.message(r)
		if err != nil && len(msgs) > 0 {
			return msgs, nil // the next read begins with the bad record
		}
		if err != nil {
			return nil, err
		}
		m.HighWaterMark = res.HighWatermark
		msgs = append(msgs, m)
	}
}

func (p *Partition) message(r *kafka.Record) (kafka.Message, error) {
	key, err := readAll(r.Key)
	if err != nil {
		return kafka.Message{}, fmt.Errorf("reading key of %s/%d at %d: %w", p.topic, p.id, r.Offset, err)
	}
	value, err := readAll(r.Value)
	if err != nil {
		return kafka.Message{}, fmt.Errorf("reading value of %s/%d at %d: %w", p.topic, p.id, r.Offset, err)
	}
	m := kafka.Message{Topic: p.topic, Partition: p.id, Offset: r.Offset, Key: key, Value: value, Headers: r.Headers, Time: r.Time}
	return m, p.checkEpoch(&m)
}

func readAll(b kafka.Bytes) ([]byte, error) {
	if b == nil {
		return nil, nil
	}
	out := make([]byte, b.Len())
	_, err := io.ReadFull(b, out)
	return out, err
}

// checkEpoch fails with ErrEpoch for a record that is not of the expected epoch.
func (p *Partition) checkEpoch(m *kafka.Message) error {
	if p.epoch == "" {
		return nil
	}
	for _, h := range m.Headers {
		if h.Key == EpochHeader {
			if string(h.Value) == p.epoch {
				return nil
			}
			return fmt.Errorf("%w: %s/%d at %d has epoch %q, the registry says %q; remedy: point at the cluster that the registry belongs to, or begin a new epoch",
				ErrEpoch, p.topic, p.id, m.Offset, h.Value, p.epoch)
		}
	}
	return fmt.Errorf("%w: %s/%d at %d has no header %q; remedy: let nothing else write to this topic", ErrEpoch, p.topic, p.id, m.Offset, EpochHeader)
}
