package broker

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// kfake's own retention is switched off: when it empties a partition and the process is then killed, the next start finds no segment and
// begins again at offset 0, and offsets that were given once are given again. Here the last record of a partition is never deleted, so that
// the log always knows where it was.

// defaultRetentionInterval is how often expired records are looked for.
const defaultRetentionInterval = 10 * time.Minute

// retain deletes expired records until ctx ends.
func (b *Broker) retain(ctx context.Context, every time.Duration) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(b.addrs...), kgo.MetadataMinAge(10*time.Millisecond))
	if err != nil {
		return fmt.Errorf("making the client for retention: %w", err)
	}
	defer client.Close()
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if err := deleteExpired(ctx, client, time.Now()); err != nil && ctx.Err() == nil {
			b.log.Warn("deleting expired records failed", "error", err)
		}
	}
}

// deleteExpired applies retention.ms of every topic.
func deleteExpired(ctx context.Context, client *kgo.Client, now time.Time) error {
	meta := kmsg.NewPtrMetadataRequest()
	meta.Topics = nil // all
	topics, err := meta.RequestWith(ctx, client)
	if err != nil {
		return fmt.Errorf("listing topics: %w", err)
	}
	for _, t := range topics.Topics {
		if t.Topic == nil {
			continue
		}
		keep, err := retention(ctx, client, *t.Topic)
		if err != nil {
			return fmt.Errorf("reading retention of %s: %w", *t.Topic, err)
		}
		if keep < 0 {
			continue
		}
		for _, p := range t.Partitions {
			if err := expirePartition(ctx, client, *t.Topic, p.Partition, now.Add(-keep)); err != nil {
				return fmt.Errorf("deleting expired records of %s/%d: %w", *t.Topic, p.Partition, err)
			}
		}
	}
	return nil
}

// retention returns how long a topic keeps its records, negative for ever.
func retention(ctx context.Context, client *kgo.Client, topic string) (time.Duration, error) {
	req := kmsg.NewPtrDescribeConfigsRequest()
	resource := kmsg.NewDescribeConfigsRequestResource()
	resource.ResourceType, resource.ResourceName, resource.ConfigNames = kmsg.ConfigResourceTypeTopic, topic, []string{"retention.ms"}
	req.Resources = append(req.Resources, resource)
	resp, err := req.RequestWith(ctx, client)
	if err != nil {
		return 0, err
	}
	for _, r := range resp.Resources {
		if err := kerr.ErrorForCode(r.ErrorCode); err != nil {
			return 0, err
		}
		for _, c := range r.Configs {
			if c.Name == "retention.ms" && c.Value != nil {
				ms, err := strconv.ParseInt(*c.Value, 10, 64)
				return time.Duration(ms) * time.Millisecond, err
			}
		}
	}
	return -1, nil
}

// Offsets that stand for the ends of a partition in a ListOffsets request.
const (
	endOffset   = -1
	startOffset = -2
)

// expirePartition deletes what is older than the cut-off, but for the last record.
func expirePartition(ctx context.Context, client *kgo.Client, topic string, partition int32, cutOff time.Time) error {
	var offsets [3]int64
	for i, at := range []int64{startOffset, cutOff.UnixMilli(), endOffset} {
		o, err := listOffset(ctx, client, topic, partition, at)
		if err != nil {
			return err
		}
		offsets[i] = o
	}
	start, expired, end := offsets[0], offsets[1], offsets[2]
	if expired < 0 { // no record is younger
		expired = end
	}
	if to := min(expired, end-1); to > start {
		return deleteBefore(ctx, client, topic, partition, to)
	}
	return nil
}

func listOffset(ctx context.Context, client *kgo.Client, topic string, partition int32, at int64) (int64, error) {
	req := kmsg.NewPtrListOffsetsRequest()
	t, p := kmsg.NewListOffsetsRequestTopic(), kmsg.NewListOffsetsRequestTopicPartition()
	p.Partition, p.Timestamp = partition, at
	t.Topic, t.Partitions = topic, append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	resp, err := req.RequestWith(ctx, client)
	if err != nil {
		return 0, err
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			return p.Offset, kerr.ErrorForCode(p.ErrorCode)
		}
	}
	return 0, fmt.Errorf("the answer to ListOffsets names no partition")
}

func deleteBefore(ctx context.Context, client *kgo.Client, topic string, partition int32, offset int64) error {
	req := kmsg.NewPtrDeleteRecordsRequest()
	t, p := kmsg.NewDeleteRecordsRequestTopic(), kmsg.NewDeleteRecordsRequestTopicPartition()
	p.Partition, p.Offset = partition, offset
	t.Topic, t.Partitions = topic, append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	resp, err := req.RequestWith(ctx, client)
	if err != nil {
		return err
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return err
			}
		}
	}
	return nil
}
