package e2e

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aftertouch-io/aftertouch/internal/embedded/embeddedtest"
)

// TestServicesRunApart starts every service as a process of its own, as on many machines: they share brokers, ClickHouse and the
// master key, and nothing else.
func TestServicesRunApart(t *testing.T) {
	dir := t.TempDir()
	key := filepath.Join(dir, "master.key")
	shared := []string{"--kafka-brokers", strings.Join(embeddedtest.Kafka(t), ","), "--master-key-file", key}
	tables := []string{"--clickhouse-dsn", embeddedtest.ClickHouse(t)}
	with := func(command string, more ...[]string) []string {
		args := append([]string{command}, shared...)
		for _, m := range more {
			args = append(args, m...)
		}
		return args
	}
	migrate := with("migrate", tables, []string{"--make-master-key", "--partitions=2", "--bootstrap-admin-key", adminKey, "--bootstrap-web-key", webKey})
	for range 2 { // it may be repeated
		once := launch(t, append(migrate, "--log-format=json")...)
		if status := once.wait(t); status != 0 {
			t.Fatalf("migrate: exit status %d\n%s", status, once.log())
		}
	}

	query := spawn(t, with("query", tables)...)
	collector := spawn(t, with("collector", []string{"--data-dir", filepath.Join(dir, "collector")})...)
	attributor := spawn(t, with("attributor", tables, []string{"--data-dir", filepath.Join(dir, "attributor")})...)
	for _, s := range []*server{query, collector, attributor} {
		s.awaitReady(t)
	}
	agree(t, query)
	collector.awaitLink(t, "ana1")
	live(t, collector)
	query.await(t, figures{
		Impressions: "1", Viewable: "0", Clicks: "1", Exposed: "1", Acted: "1",
		LastTouch: "1.000000000", Value: "4900", Total: "1.000000000", Attributed: "1.000000000",
	})
	if status, _ := collector.try(t, http.MethodGet, "/v1/reports/performance", nil); status != http.StatusNotFound {
		t.Errorf("the collector answers reports: %d", status)
	}
	if status, _ := query.try(t, http.MethodGet, "/v1/pixel.gif", nil); status != http.StatusNotFound {
		t.Errorf("query takes events: %d", status)
	}
	for _, s := range []*server{collector, attributor, query} {
		if status := s.terminate(t); status != 0 {
			t.Errorf("SIGTERM: exit status %d\n%s", status, s.log())
		}
	}
}

// awaitLink waits until the process's registry has a link that another process wrote.
func (s *server) awaitLink(t *testing.T, link string) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		status, body := s.try(t, http.MethodGet, "/c/"+link+"?info", nil)
		if status == http.StatusOK {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the collector does not know the link: %d %s", status, body)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
