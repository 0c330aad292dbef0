package embeddedtest

import (
	"log/slog"
	"testing"

	"github.com/aftertouch-io/aftertouch/internal/embedded/broker"
)

// Kafka returns the bootstrap addresses of a new, empty broker in the test's own process. It ends with the test.
func Kafka(t testing.TB) []string {
	t.Helper()
	b, err := broker.Open(broker.Config{Dir: t.TempDir()}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("starting a Kafka broker: %v", err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("closing the Kafka broker: %v", err)
		}
	})
	return b.Addrs()
}
