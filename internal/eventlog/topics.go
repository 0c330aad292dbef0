package eventlog

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/segmentio/kafka-go"
)

// Names of the topics. Later epochs of the events topic add their number: aftertouch.events.v1.2.
const (
	EventsTopic     = "aftertouch.events.v1"
	DeadLetterTopic = "aftertouch.deadletter.v1"
	RegistryTopic   = "aftertouch.registry.v1"
)

// Settings of all topics.
const (
	// MaxMessageBytes bounds a batch as the brokers see it. It is the default of Kafka, and what the embedded broker takes.
	MaxMessageBytes = 1048588
	// deadLetterRetention is how long undecodable records are kept for somebody to look at.
	deadLetterRetention = 30 * 24 * time.Hour
)

// EpochInfo names one generation of the events topic (D8).
type EpochInfo struct {
	// Number counts from 1.
	Number uint16
	Topic  string
	// Partitions is fixed for the epoch's life, because keys are placed by it.
	Partitions int
	// ID is random; every record carries it.
	ID string
}

// EpochTopic returns the name of the events topic of an epoch.
func EpochTopic(number uint16) string {
	if number <= 1 {
		return EventsTopic
	}
	return EventsTopic + "." + strconv.Itoa(int(number))
}

// TopicSettings are the settings of the topics that depend on the installation.
type TopicSettings struct {
	// Partitions of the events topic, 1 to 4096. It cannot be changed within an epoch.
	Partitions int
	// EpochNumber of the events topic. Default 1.
	EpochNumber uint16
	// ReplicationFactor of all topics; 0 leaves it to the brokers. It is only used to create.
	ReplicationFactor int
	// MinInSyncReplicas of all topics; 0 leaves it to the brokers.
	MinInSyncReplicas int
	// EventsRetention is how long events are kept; 0 for ever. Embedded 7 d.
	EventsRetention time.Duration
}

// Validate reports everything that is wrong.
func (s TopicSettings) Validate() error {
	var errs []error
	if s.Partitions < 1 || s.Partitions > 4096 {
		errs = append(errs, fmt.Errorf("partitions: %d is not 1 to 4096", s.Partitions))
	}
	if s.EventsRetention < 0 || s.EventsRetention > 0 && s.EventsRetention < time.Hour {
		errs = append(errs, fmt.Errorf("events retention: %s is neither 0 nor at least 1h", s.EventsRetention))
	}
	if s.ReplicationFactor > 0 && s.MinInSyncReplicas > s.ReplicationFactor {
		errs = append(errs, fmt.Errorf("min in-sync replicas: %d is more than the replication factor %d", s.MinInSyncReplicas, s.ReplicationFactor))
	}
	return errors.Join(errs...)
}

type topicSpec struct {
	name       string
	partitions int
	retention  time.Duration // 0: for ever
}

func (s TopicSettings) specs() []topicSpec {
	return []topicSpec{
		{EpochTopic(s.EpochNumber), s.Partitions, s.EventsRetention},
		{DeadLetterTopic, 1, deadLetterRetention},
		{RegistryTopic, 1, 0},
	}
}

func (s TopicSettings) configs(spec topicSpec) []kafka.ConfigEntry {
	retention := "-1"
	if spec.retention > 0 {
		retention = strconv.FormatInt(spec.retention.Milliseconds(), 10)
	}
	entries := []kafka.ConfigEntry{
		{ConfigName: "cleanup.policy", ConfigValue: "delete"},
		{ConfigName: "retention.ms", ConfigValue: retention},
		{ConfigName: "retention.bytes", ConfigValue: "-1"},
		{ConfigName: "max.message.bytes", ConfigValue: strconv.Itoa(MaxMessageBytes)},
		// The timestamp of a record is the producer's (D8), however wrong its clock is: the core bounds what a wrong one does.
		{ConfigName: "message.timestamp.type", ConfigValue: "CreateTime"},
		{ConfigName: "message.timestamp.before.max.ms", ConfigValue: strconv.FormatInt(maxLong, 10)},
		{ConfigName: "message.timestamp.after.max.ms", ConfigValue: strconv.FormatInt(maxLong, 10)},
		// An acknowledged record may not be lost to a replica that was behind.
		{ConfigName: "unclean.leader.election.enable", ConfigValue: "false"},
	}
	if s.MinInSyncReplicas > 0 {
		entries = append(entries, kafka.ConfigEntry{ConfigName: "min.insync.replicas", ConfigValue: strconv.Itoa(s.MinInSyncReplicas)})
	}
	return entries
}

const maxLong = 1<<63 - 1

// ErrTopicDiffers reports a topic whose settings are not the ones that the code needs.
var ErrTopicDiffers = errors.New("topic differs")

// EnsureTopics creates the topics that are missing and compares the others with the settings (D8). It fails with an error
// wrapping ErrTopicDiffers that names topic, setting and remedy when they are different; nothing is changed then.
func EnsureTopics(ctx context.Context, c *Client, s TopicSettings) error {
	if err := s.Validate(); err != nil {
		return fmt.Errorf("checking topic settings: %w", err)
	}
	specs := s.specs()
	if err := c.createTopics(ctx, s, specs); err != nil {
		return err
	}
	if err := c.waitForTopics(ctx, specs); err != nil {
		return err
	}
	var errs []error
	for _, spec := range specs {
		errs = append(errs, c.comparePartitions(ctx, spec), c.compareConfigs(ctx, s, spec))
	}
	return errors.Join(errs...)
}

func (c *Client) createTopics(ctx context.Context, s TopicSettings, specs []topicSpec) error {
	req := &kafka.CreateTopicsRequest{}
	for _, spec := range specs {
		factor := s.ReplicationFactor
		if factor <= 0 {
			factor = -1
		}
		req.Topics = append(req.Topics, kafka.TopicConfig{
			Topic: spec.name, NumPartitions: spec.partitions, ReplicationFactor: factor, ConfigEntries: s.configs(spec),
		})
	}
	res, err := c.kafka.CreateTopics(ctx, req)
	if err != nil {
		return fmt.Errorf("creating topics: %w", err)
	}
	for _, spec := range specs {
		if err := res.Errors[spec.name]; err != nil && !errors.Is(err, kafka.TopicAlreadyExists) {
			return fmt.Errorf("creating topic %s: %w", spec.name, err)
		}
	}
	return nil
}

// waitForTopics waits until the cluster's metadata show the topics with a leader for each partition.
func (c *Client) waitForTopics(ctx context.Context, specs []topicSpec) error {
	for {
		missing, err := c.missingTopic(ctx, specs)
		if err != nil {
			return err
		}
		if missing == "" {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for topic %s to have leaders: %w", missing, ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (c *Client) missingTopic(ctx context.Context, specs []topicSpec) (string, error) {
	for _, spec := range specs {
		topic, err := c.topic(ctx, spec.name)
		if errors.Is(err, kafka.UnknownTopicOrPartition) || errors.Is(err, kafka.LeaderNotAvailable) {
			return spec.name, nil
		}
		if err != nil {
			return "", err
		}
		for _, p := range topic.Partitions {
			if p.Error != nil || p.Leader.Host == "" {
				return spec.name, nil //nolint:nilerr // it has no leader yet
			}
		}
	}
	return "", nil
}

func (c *Client) topic(ctx context.Context, name string) (kafka.Topic, error) {
	res, err := c.kafka.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{name}})
	if err != nil {
		return kafka.Topic{}, fmt.Errorf("reading metadata of topic %s: %w", name, err)
	}
	for _, t := range res.Topics {
		if t.Name == name {
			if t.Error != nil {
				return kafka.Topic{}, fmt.Errorf("reading metadata of topic %s: %w", name, t.Error)
			}
			return t, nil
		}
	}
	return kafka.Topic{}, fmt.Errorf("reading metadata of topic %s: %w", name, kafka.UnknownTopicOrPartition)
}

func (c *Client) comparePartitions(ctx context.Context, spec topicSpec) error {
	t, err := c.topic(ctx, spec.name)
	if err != nil {
		return err
	}
	if len(t.Partitions) == spec.partitions {
		return nil
	}
	remedy := "delete the topic if it holds nothing that you need"
	if spec.partitions != 1 {
		remedy = fmt.Sprintf("set --partitions=%d; another number needs a new epoch", len(t.Partitions))
	}
	return fmt.Errorf("%w: topic %s has %d partitions, expected %d; remedy: %s", ErrTopicDiffers, spec.name, len(t.Partitions), spec.partitions, remedy)
}

func (c *Client) compareConfigs(ctx context.Context, s TopicSettings, spec topicSpec) error {
	res, err := c.kafka.DescribeConfigs(ctx, &kafka.DescribeConfigsRequest{
		Resources: []kafka.DescribeConfigRequestResource{{ResourceType: kafka.ResourceTypeTopic, ResourceName: spec.name}},
	})
	if err != nil {
		return fmt.Errorf("describing topic %s: %w", spec.name, err)
	}
	found := map[string]string{}
	for _, r := range res.Resources {
		if r.Error != nil {
			return fmt.Errorf("describing topic %s: %w", spec.name, r.Error)
		}
		for _, e := range r.ConfigEntries {
			found[e.ConfigName] = e.ConfigValue
		}
	}
	var errs []error
	for _, want := range s.configs(spec) {
		remedy := fmt.Sprintf("kafka-configs.sh --alter --entity-type topics --entity-name %s --add-config %s=%s", spec.name, want.ConfigName, want.ConfigValue)
		if want.ConfigName == "retention.ms" && spec.name == EpochTopic(s.EpochNumber) {
			remedy = "set the events retention to the topic's, or " + remedy
		}
		// A broker that does not know a setting does not have the behaviour that it turns off.
		got, ok := found[want.ConfigName]
		if ok && got != want.ConfigValue {
			errs = append(errs, fmt.Errorf("%w: topic %s has %s=%s, expected %s; remedy: %s",
				ErrTopicDiffers, spec.name, want.ConfigName, got, want.ConfigValue, remedy))
		}
	}
	return errors.Join(errs...)
}
