package eventlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/segmentio/kafka-go"
)

// ErrFenced reports a commit of a generation that is over: another member may own the partition already.
var ErrFenced = errors.New("generation is over")

// ErrStopPartition marks a handler's error that trying again cannot cure: the partition stays stopped until the next
// generation, and the others go on. ErrEpoch has the same effect.
var ErrStopPartition = errors.New("partition stopped")

// GroupConfig configures a consumer group's member.
type GroupConfig struct {
	// GroupID names the group.
	GroupID string
	// Epoch whose topic is read.
	Epoch EpochInfo
	// SessionTimeout is how long a member may be silent before it loses its partitions. Default 10 s.
	SessionTimeout time.Duration
	// HeartbeatInterval is how often a member speaks, and so how soon it learns of a rebalance. Default 1 s.
	HeartbeatInterval time.Duration
	// RebalanceTimeout bounds how long the others wait for this member to let go. Default 30 s.
	RebalanceTimeout time.Duration
	// Backoff after a failure, before the group is joined again. Default 1 s.
	Backoff time.Duration
	// Stopped, when set, is told of each partition that stopped with an error that trying again cannot cure.
	Stopped func(partition int, err error)
}

func (c GroupConfig) withDefaults() GroupConfig {
	setDefault(&c.SessionTimeout, 10*time.Second)
	setDefault(&c.HeartbeatInterval, time.Second)
	setDefault(&c.RebalanceTimeout, 30*time.Second)
	setDefault(&c.Backoff, time.Second)
	return c
}

// Assignment is one partition in one generation. It is used by one goroutine.
type Assignment struct {
	*Partition
	generation *kafka.Generation
	committed  int64
}

// Handler works on one partition until ctx ends, which is when the generation ends; it has RebalanceTimeout to return then.
// When it returns an error earlier, the generation is ended and the group joined again after a pause, so that every
// partition starts again from what is durable; errors wrapping ErrStopPartition or ErrEpoch stop only the one partition.
type Handler func(ctx context.Context, a *Assignment) error

// PartitionID returns the partition's number.
func (a *Assignment) PartitionID() int { return a.id }

// Generation returns the number of the generation.
func (a *Assignment) Generation() int { return int(a.generation.ID) }

// CommittedOffset returns the offset that was committed when the generation began; -1 when there was none.
func (a *Assignment) CommittedOffset() int64 { return a.committed }

// CommitOffset commits the offset of the next record to be read, inside the generation. It fails with ErrFenced when the
// generation is over.
func (a *Assignment) CommitOffset(ctx context.Context, next int64) error {
	const attempts = 5
	for i := 0; ; i++ {
		err := a.commitOnce(ctx, next)
		if err == nil {
			return nil
		}
		if isFenced(err) {
			return fmt.Errorf("committing offset %d of %s/%d: %w (%w)", next, a.topic, a.id, ErrFenced, err)
		}
		if i == attempts-1 || !retriable(err) {
			return fmt.Errorf("committing offset %d of %s/%d: %w", next, a.topic, a.id, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("committing offset %d of %s/%d: %w", next, a.topic, a.id, err)
		case <-time.After(100 * time.Millisecond << i):
		}
	}
}

// commitOnce goes around Generation.CommitOffsets, which ignores the error of the partition: its own is nil when fenced.
func (a *Assignment) commitOnce(ctx context.Context, next int64) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	res, err := a.client.kafka.OffsetCommit(ctx, &kafka.OffsetCommitRequest{
		GroupID: a.generation.GroupID, GenerationID: int(a.generation.ID), MemberID: a.generation.MemberID,
		Topics: map[string][]kafka.OffsetCommit{a.topic: {{Partition: a.id, Offset: next}}},
	})
	if err != nil {
		return err
	}
	for _, p := range res.Topics[a.topic] {
		if p.Partition == a.id {
			return p.Error
		}
	}
	return kafka.UnknownTopicOrPartition
}

func isFenced(err error) bool {
	for _, code := range []kafka.Error{kafka.IllegalGeneration, kafka.UnknownMemberId, kafka.RebalanceInProgress, kafka.FencedInstanceID} {
		if errors.Is(err, code) {
			return true
		}
	}
	return false
}

// RunGroup is a member of the group until ctx ends; then it lets the handlers return, leaves the group and returns nil. Per
// generation each assigned partition gets one goroutine that calls the handler.
func RunGroup(ctx context.Context, c *Client, cfg GroupConfig, log *slog.Logger, handler Handler) error {
	cfg = cfg.withDefaults()
	group, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
		ID: cfg.GroupID, Brokers: c.cfg.Brokers, Dialer: c.dialer(), Topics: []string{cfg.Epoch.Topic},
		HeartbeatInterval: cfg.HeartbeatInterval, SessionTimeout: cfg.SessionTimeout, RebalanceTimeout: cfg.RebalanceTimeout,
		JoinGroupBackoff: cfg.Backoff, StartOffset: kafka.FirstOffset,
	})
	if err != nil {
		return fmt.Errorf("configuring group %s: %w", cfg.GroupID, err)
	}
	defer func() { _ = group.Close() }() // never fails
	m := &member{client: c, cfg: cfg, log: log, handler: handler}
	for {
		generation, err := group.Next(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			// The group rejoins by itself, after its backoff.
			log.Warn("joining group failed", "group", cfg.GroupID, "error", err)
			continue
		}
		m.start(generation)
	}
}

type member struct {
	client  *Client
	cfg     GroupConfig
	log     *slog.Logger
	handler Handler
}

func (m *member) start(g *kafka.Generation) {
	assigned := g.Assignments[m.cfg.Epoch.Topic]
	m.log.Info("generation began", "group", m.cfg.GroupID, "generation", g.ID, "partitions", len(assigned))
	for _, p := range assigned {
		a := &Assignment{
			Partition:  m.client.Partition(m.cfg.Epoch.Topic, p.ID, m.cfg.Epoch.ID),
			generation: g,
			committed:  max(p.Offset, -1), // kafka-go shows "none" as FirstOffset, which is -2
		}
		g.Start(func(ctx context.Context) { m.run(ctx, a) })
	}
}

// run calls the handler. Returning from it ends the generation.
func (m *member) run(generation context.Context, a *Assignment) {
	ctx, cancel := context.WithCancel(generation)
	defer cancel()
	err := m.handler(ctx, a)
	if err == nil || generation.Err() != nil && isFencedOrEnded(err) {
		return
	}
	log := m.log.With("group", m.cfg.GroupID, "partition", a.id, "generation", a.Generation(), "error", err)
	if errors.Is(err, ErrStopPartition) || errors.Is(err, ErrEpoch) {
		log.Error("partition stopped")
		if m.cfg.Stopped != nil {
			m.cfg.Stopped(a.id, err)
		}
		<-generation.Done()
		return
	}
	log.Error("partition failed, joining the group again")
	select {
	case <-time.After(m.cfg.Backoff):
	case <-generation.Done():
	}
}

func isFencedOrEnded(err error) bool {
	return errors.Is(err, ErrFenced) || errors.Is(err, context.Canceled) || errors.Is(err, kafka.ErrGenerationEnded)
}
