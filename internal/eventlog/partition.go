package eventlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/fetch"
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
	// ownHeaders are those of a record of this epoch.
	ownHeaders []kafka.Header
}

// Partition returns a plain reader of a topic's partition. With an epoch, records without its id end reading.
func (c *Client) Partition(topic string, id int, epoch string) *Partition {
	p := &Partition{client: c, topic: topic, id: id, epoch: epoch}
	if epoch != "" {
		p.ownHeaders = []kafka.Header{{Key: EpochHeader, Value: []byte(epoch)}}
	}
	return p
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

// Read returns records from the offset on, in order; none when there are none within MaxWait. Keys and values share memory:
// one that is kept keeps its whole batch. Errors: ErrOffsetOutOfRange, ErrEpoch, and those of the brokers, which another call
// may cure.
func (p *Partition) Read(ctx context.Context, from int64, limits ReadLimits) ([]kafka.Message, error) {
	setDefault(&limits.MaxBytes, 4<<20)
	setDefault(&limits.MaxWait, 500*time.Millisecond)
	ctx, cancel := context.WithTimeout(ctx, limits.MaxWait+requestTimeout)
	defer cancel()
	msgs, err := p.fetch(ctx, from, limits)
	if errors.Is(err, kafka.OffsetOutOfRange) {
		err = ErrOffsetOutOfRange
	}
	if err == nil {
		msgs, err = p.checkEpochs(msgs)
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s/%d from %d: %w", p.topic, p.id, from, err)
	}
	return msgs, nil
}

func (p *Partition) fetch(ctx context.Context, from int64, limits ReadLimits) ([]kafka.Message, error) {
	answer, err := p.client.transport.RoundTrip(ctx, p.client.kafka.Addr, &fetchRequest{
		clientID: p.client.cfg.ClientID,
		Request: &fetch.Request{
			ReplicaID: -1, MaxWaitTime: int32(limits.MaxWait.Milliseconds()), MinBytes: 1, MaxBytes: int32(limits.MaxBytes), SessionID: -1, SessionEpoch: -1,
			Topics: []fetch.RequestTopic{{Topic: p.topic, Partitions: []fetch.RequestPartition{{
				Partition: int32(p.id), CurrentLeaderEpoch: -1, FetchOffset: from, LogStartOffset: -1, PartitionMaxBytes: int32(limits.MaxBytes),
			}}}},
		},
	})
	if err != nil {
		return nil, err
	}
	res := answer.(*fetchResponse)
	if res.code != 0 {
		return nil, kafka.Error(res.code)
	}
	d := decoder{partition: p, from: from, high: res.highWatermark}
	err = d.decode(res.records)
	return d.msgs, err
}

// checkEpochs returns the records before the first one of another epoch, and the error when that is the first of all.
func (p *Partition) checkEpochs(msgs []kafka.Message) ([]kafka.Message, error) {
	for i := range msgs {
		if err := p.checkEpoch(&msgs[i]); err != nil && i == 0 {
			return nil, err
		} else if err != nil {
			return msgs[:i], nil //nolint:nilerr // the next read begins with it
		}
	}
	return msgs, nil
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
