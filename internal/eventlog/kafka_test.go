package eventlog

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/aftertouch-io/aftertouch/internal/embedded/embeddedtest"
)

// testKafka returns a client of a new broker with the topics made. AFTERTOUCH_TEST_KAFKA_BROKERS names a real one instead,
// whose topics of these names are deleted first.
func testKafka(t testing.TB) *Client {
	t.Helper()
	brokers := strings.Split(os.Getenv("AFTERTOUCH_TEST_KAFKA_BROKERS"), ",")
	if brokers[0] == "" {
		brokers = embeddedtest.Kafka(t)
	}
	cl, err := NewClient(ClientConfig{Brokers: brokers, MetadataTTL: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	deleteTopics(t, cl)
	if err := EnsureTopics(t.Context(), cl, TopicSettings{Partitions: 4, EventsRetention: 7 * 24 * time.Hour}); err != nil {
		t.Fatal(err)
	}
	return cl
}

func deleteTopics(t testing.TB, c *Client) {
	t.Helper()
	names := []string{EventsTopic, DeadLetterTopic, RegistryTopic}
	if _, err := c.kafka.DeleteTopics(t.Context(), &kafka.DeleteTopicsRequest{Topics: names}); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		for range 200 {
			if _, err := c.topic(t.Context(), name); errors.Is(err, kafka.UnknownTopicOrPartition) {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
}
