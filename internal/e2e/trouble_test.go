package e2e

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestAStartThatFailsSaysWhyAndLosesNothing starts the binary in ways that cannot work, then in one that can.
func TestAStartThatFailsSaysWhyAndLosesNothing(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir := t.TempDir()
	first := launch(t, "all", "--data-dir", dir, "--http-addr", taken.Addr().String(), "--grpc-addr=127.0.0.1:0")
	fails(t, first, "--http-addr")
	// The keys are shown once and stored nowhere.
	shown := regexp.MustCompile(`admin key +(ats_\S+)`).FindStringSubmatch(first.log())
	if shown == nil {
		t.Fatalf("the first start did not show the keys that it made:\n%s", first.log())
	}
	second := spawn(t, "all", "--data-dir", dir)
	second.awaitReady(t)
	if status, _, body := second.exchange(t, http.MethodGet, "/v1/keys", nil, map[string]string{"Authorization": "Bearer " + shown[1]}); status != http.StatusOK {
		t.Errorf("the key that the failed start showed: %d %s", status, body)
	}
	if status := second.terminate(t); status != 0 {
		t.Errorf("SIGTERM: exit status %d", status)
	}

	key := filepath.Join(dir, "master.key")
	if err := os.Rename(key, key+".away"); err != nil {
		t.Fatal(err)
	}
	fails(t, spawn(t, "all", "--data-dir", dir), "master.key")
	if _, err := os.Stat(key); err == nil {
		t.Error("another master key was put into the place of the one that is needed")
	}
	fails(t, spawn(t, "all", "--data-dir", t.TempDir(), "--kafka-brokers=127.0.0.1:1"), "--kafka-brokers")
	fails(t, spawn(t, "all", "--data-dir", t.TempDir(), "--clickhouse-dsn=clickhouse://127.0.0.1:1/aftertouch"), "--clickhouse-dsn")
	if err := os.Rename(key+".away", key); err != nil {
		t.Fatal(err)
	}
	fails(t, spawn(t, "all", "--data-dir", dir, "--partitions=3"), "--partitions=4")
}

// fails wants the process to end by itself with an error that names the remedy.
func fails(t *testing.T, s *server, remedy string) {
	t.Helper()
	if status := s.wait(t); status != 1 || !strings.Contains(s.log(), remedy) {
		t.Errorf("exit status %d, want 1 and %q:\n%s", status, remedy, tail(s.log(), 2000))
	}
}
