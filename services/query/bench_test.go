package query_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/store"
	"github.com/aftertouch-io/aftertouch/internal/store/storetest"
	"github.com/aftertouch-io/aftertouch/services/query"
	"google.golang.org/grpc/metadata"
)

// Sizes of the benchmark's data: 20 million facts of a million visitors over 90 days, and a million journeys. The environment
// makes them smaller for a quick look.
var (
	benchFacts    = benchSize("AFTERTOUCH_BENCH_FACTS", 20_000_000)
	benchJourneys = benchSize("AFTERTOUCH_BENCH_JOURNEYS", 1_000_000)
)

func benchSize(name string, size int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil && n > 0 {
		return n
	}
	return size
}

// benchStep bounds the rows of one generating statement.
const benchStep = 1_000_000

// benchWorld returns a service over a database that is filled with generated rows, everything derived; or over the database
// that AFTERTOUCH_BENCH_DSN names, which an earlier run filled.
func benchWorld(b *testing.B) (*query.Service, *store.Store) {
	b.Helper()
	var s *store.Store
	if dsn := os.Getenv("AFTERTOUCH_BENCH_DSN"); dsn != "" {
		s = storetest.OpenDSN(b, dsn, store.Default())
	} else {
		s = storetest.Open(b)
		fillBench(b, s)
	}
	service, err := query.New(query.Default(), query.Deps{
		Store: s, Registry: testRegistry(b), Logger: slog.New(slog.DiscardHandler), Clock: func() time.Time { return now },
	})
	must(b, err)
	return service, s
}

func fillBench(b *testing.B, s *store.Store) {
	b.Helper()
	start := now.Add(-90 * 24 * time.Hour)
	visitors := benchFacts / 20
	run := func(file string, rows int) {
		text, err := os.ReadFile(filepath.Join("testdata", file))
		must(b, err)
		began := time.Now()
		for from := 0; from < rows; from += benchStep {
			ctx := clickhouse.Context(context.Background(), clickhouse.WithParameters(clickhouse.Parameters{
				"facts": strconv.Itoa(benchFacts), "journeys": strconv.Itoa(benchJourneys), "visitors": strconv.Itoa(visitors),
				"start": strconv.FormatInt(start.Unix(), 10), "from": strconv.Itoa(from), "count": strconv.Itoa(min(benchStep, rows-from)),
			}))
			must(b, s.Conn().Exec(ctx, withoutComments(string(text))))
		}
		b.Logf("%s: %s", file, time.Since(began).Round(time.Millisecond))
	}
	run("facts.sql", benchFacts)
	run("journeys.sql", benchJourneys)
	run("links.sql", 1)
	run("marks.sql", 1)
	d, err := store.NewDeriver(s.Conn(), store.DefaultDeriver(), nil, slog.New(slog.DiscardHandler))
	must(b, err)
	began := time.Now()
	n, err := d.Refresh(context.Background())
	must(b, err)
	b.Logf("derived %d hours in %s", n, time.Since(began).Round(time.Millisecond))
}

func withoutComments(text string) string {
	lines := slices.DeleteFunc(strings.Split(text, "\n"), func(line string) bool { return strings.HasPrefix(line, "--") })
	return strings.Join(lines, "\n")
}

// BenchmarkReports measures the reports over the same rows, one after another, and prints the latency of single reports.
// The hour of the newest events is dirty, as it is under traffic.
func BenchmarkReports(b *testing.B) {
	service, s := benchWorld(b)
	must(b, s.Conn().Exec(context.Background(), fmt.Sprintf(`INSERT INTO dirty_hours (workspace, source, log_day, hour, epoch, partition, next_offset, version)
		SELECT 'shop', source, toDate(at), toStartOfHour(at), 1, 0, 2000, 2000
		FROM (SELECT arrayJoin(['facts', 'journeys']) AS source, toDateTime(%d, 'UTC') AS at)`, now.Add(-time.Hour).Unix())))
	ctx := metadata.NewIncomingContext(context.Background(), metadata.Pairs("authorization", "Bearer "+adminKey))
	performance := func(p *aftertouchv1.Parameters) func() error {
		return func() error {
			got, err := service.Performance(ctx, p)
			if err == nil && len(got.Rows) == 0 {
				err = fmt.Errorf("no rows")
			}
			return err
		}
	}
	exposure := func(p *aftertouchv1.Parameters) func() error {
		return func() error {
			got, err := service.Exposure(ctx, p)
			if err == nil && (len(got.Rows) == 0 || got.Rows[0].Exposed == 0) {
				err = fmt.Errorf("nobody exposed")
			}
			return err
		}
	}
	for _, c := range []struct {
		name string
		run  func() error
	}{
		{"performance/30d", performance(&aftertouchv1.Parameters{})},
		{"performance/90d", performance(&aftertouchv1.Parameters{From: now.Add(-90 * 24 * time.Hour).Format(time.RFC3339)})},
		{"performance/30d_by_day", performance(&aftertouchv1.Parameters{By: []string{"day"}})},
		{"performance/30d_touch_basis", performance(&aftertouchv1.Parameters{Basis: "touch"})},
		{"exposure/one_creator", exposure(&aftertouchv1.Parameters{Creator: "creator20"})},
		{"exposure/largest_creator", exposure(&aftertouchv1.Parameters{Creator: "creator0"})},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			must(b, c.run()) // the first one fills caches
			var took []time.Duration
			for b.Loop() {
				began := time.Now()
				if err := c.run(); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50_ms")
			b.ReportMetric(float64(took[len(took)*95/100].Microseconds())/1000, "p95_ms")
		})
	}
}
