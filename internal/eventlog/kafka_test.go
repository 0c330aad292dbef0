package eventlog

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// benchKafka returns a client of a broker that keeps its log on disk and syncs each batch, with the topics made.
func benchKafka(t testing.TB) *Client {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.DataDir(t.TempDir()), kfake.SyncWrites())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	cl, err := NewClient(ClientConfig{Brokers: c.ListenAddrs()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	if err := EnsureTopics(t.Context(), cl, TopicSettings{Partitions: 4, EventsRetention: 7 * 24 * time.Hour}); err != nil {
		t.Fatal(err)
	}
	return cl
}
