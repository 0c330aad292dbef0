package eventlog

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/segmentio/kafka-go"
)

// maxReason bounds a reason, in bytes: a record of the largest size must still fit with it.
const maxReason = 1024

// DeadLetters keeps records that could not be decoded, as they were, with the reason.
type DeadLetters struct{ p *Partition }

// NewDeadLetters makes a writer of the dead letter topic.
func NewDeadLetters(c *Client) *DeadLetters {
	return &DeadLetters{c.Partition(DeadLetterTopic, 0, "")}
}

// Write appends the record with the headers topic, partition, offset and reason beside its own, and returns when it is
// acknowledged. Writing one record twice is harmless.
func (d *DeadLetters) Write(ctx context.Context, original kafka.Message, reason string) error {
	if len(reason) > maxReason {
		reason = reason[:maxReason]
	}
	headers := append([]kafka.Header{
		{Key: "topic", Value: []byte(original.Topic)},
		{Key: "partition", Value: []byte(strconv.Itoa(original.Partition))},
		{Key: "offset", Value: []byte(strconv.FormatInt(original.Offset, 10))},
		{Key: "timestamp", Value: []byte(strconv.FormatInt(original.Time.UnixMilli(), 10))},
		{Key: "reason", Value: []byte(reason)},
	}, original.Headers...)
	_, err := d.p.Append(ctx, original.Key, original.Value, headers...)
	if err != nil {
		return fmt.Errorf("writing dead letter of %s/%d at %d: %w", original.Topic, original.Partition, original.Offset, err)
	}
	return nil
}

// Append writes one record, acks=all, and returns its offset. On an error the record may have been written. It is for topics
// of few records; events go through a Writer.
func (p *Partition) Append(ctx context.Context, key, value []byte, headers ...kafka.Header) (int64, error) {
	b := newBatch(time.Now())
	b.add(key, value, encodeHeaders(headers...))
	if err := b.seal(time.Now(), NoCompression); err != nil {
		return 0, err
	}
	const attempts = 5
	for i := 0; ; i++ {
		offset, err := p.client.produce(ctx, p.topic, p.id, b.buf, requestTimeout)
		if err == nil {
			return offset, nil
		}
		if i == attempts-1 || !retriable(err) || ctx.Err() != nil {
			return 0, fmt.Errorf("appending to %s/%d: %w", p.topic, p.id, err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond << i):
		}
	}
}
