package spool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aftertouch-io/aftertouch/internal/eventlog"
	"github.com/google/go-cmp/cmp"
)

var quiet = slog.New(slog.DiscardHandler)

func open(t testing.TB, cfg Config) *Spool {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = filepath.Join(t.TempDir(), "spool")
	}
	s, err := Open(cfg, quiet)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func record(i int) eventlog.Record {
	return eventlog.Record{Key: fmt.Appendf(nil, "shop/v:%d", i), Value: fmt.Appendf(nil, "value-%d", i)}
}

func put(t testing.TB, s *Spool, ids ...int) {
	t.Helper()
	recs := make([]eventlog.Record, len(ids))
	for i, id := range ids {
		recs[i] = record(id)
	}
	if err := s.Append(recs, time.Now()); err != nil {
		t.Fatal(err)
	}
}

// drain returns the values delivered, in order.
func drain(t testing.TB, s *Spool) (values []string) {
	t.Helper()
	err := s.Drain(t.Context(), func(_ context.Context, recs []eventlog.Record) error {
		for _, r := range recs {
			values = append(values, string(r.Key)+"="+string(r.Value))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return values
}

func wantValues(ids ...int) (values []string) {
	for _, id := range ids {
		r := record(id)
		values = append(values, string(r.Key)+"="+string(r.Value))
	}
	return values
}

func files(t testing.TB, s *Spool, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(s.cfg.Dir, pattern))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestDrainDeliversEverythingInOrderAndLeavesNothing(t *testing.T) {
	s := open(t, Config{SegmentBytes: 100})
	if s.Waiting() {
		t.Error("an empty spool waits")
	}
	put(t, s, 1)
	put(t, s, 2, 3)
	for i := 4; i <= 20; i++ {
		put(t, s, i)
	}
	if !s.Waiting() || s.Bytes() == 0 || s.Age(time.Now().Add(time.Hour)) < time.Hour {
		t.Errorf("waiting %v, %d bytes, age %v", s.Waiting(), s.Bytes(), s.Age(time.Now()))
	}
	if n := len(files(t, s, "*")); n < 3 {
		t.Errorf("%d files: segments are not rotated", n)
	}
	var all []int
	for i := 1; i <= 20; i++ {
		all = append(all, i)
	}
	if diff := cmp.Diff(wantValues(all...), drain(t, s)); diff != "" {
		t.Error(diff)
	}
	if s.Waiting() || s.Bytes() != 0 || len(files(t, s, "*")) != 0 || s.Age(time.Now()) != 0 {
		t.Errorf("left: waiting %v, %d bytes, files %v", s.Waiting(), s.Bytes(), files(t, s, "*"))
	}
	put(t, s, 21)
	if diff := cmp.Diff(wantValues(21), drain(t, s)); diff != "" {
		t.Error(diff)
	}
}

func TestRecordsSurviveReopening(t *testing.T) {
	s := open(t, Config{SegmentBytes: 60})
	put(t, s, 1, 2)
	put(t, s, 3)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Append([]eventlog.Record{record(9)}, time.Now()); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	again := open(t, s.cfg)
	put(t, again, 4)
	if diff := cmp.Diff(wantValues(1, 2, 3, 4), drain(t, again)); diff != "" {
		t.Error(diff)
	}
}

func TestFailedDeliveryBeginsAgainWithTheSameFile(t *testing.T) {
	s := open(t, Config{SegmentBytes: 40})
	put(t, s, 1)
	put(t, s, 2)
	put(t, s, 3)
	down := errors.New("brokers are down")
	calls := 0
	err := s.Drain(t.Context(), func(context.Context, []eventlog.Record) error {
		if calls++; calls == 2 {
			return down
		}
		return nil
	})
	if !errors.Is(err, down) || !s.Waiting() {
		t.Fatalf("got %v, waiting %v", err, s.Waiting())
	}
	if diff := cmp.Diff(wantValues(2, 3), drain(t, s)); diff != "" {
		t.Error(diff)
	}
}

func TestFullSpoolTakesNothing(t *testing.T) {
	s := open(t, Config{MaxBytes: 100})
	var taken []int
	for i := range 50 {
		err := s.Append([]eventlog.Record{record(i)}, time.Now())
		if errors.Is(err, ErrFull) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		taken = append(taken, i)
	}
	if len(taken) == 0 || len(taken) == 50 || s.Bytes() > 100 {
		t.Fatalf("took %d records, %d bytes", len(taken), s.Bytes())
	}
	if diff := cmp.Diff(wantValues(taken...), drain(t, s)); diff != "" {
		t.Error(diff)
	}
	put(t, s, 99) // room again
}

func TestTornTailIsNoDamage(t *testing.T) {
	for name, spoil := range map[string]func(b []byte) []byte{
		"half a frame":   func(b []byte) []byte { return b[:len(b)-3] },
		"half a header":  func(b []byte) []byte { return b[:len(b)-len("shop/v:3")-len("value-3")-2-5] },
		"zeros":          func(b []byte) []byte { return append(b[:len(b)-5], make([]byte, 5)...) },
		"garbage length": func(b []byte) []byte { return append(b[:len(b)-25], 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4, 5) },
	} {
		s := open(t, Config{})
		put(t, s, 1, 2)
		put(t, s, 3)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		path := files(t, s, "*")[0]
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, spoil(b), 0o600); err != nil {
			t.Fatal(err)
		}
		again := open(t, s.cfg)
		put(t, again, 4)
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
		again = open(t, s.cfg) // the torn file is not the newest any more
		if diff := cmp.Diff(wantValues(1, 2, 4), drain(t, again)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if left := files(t, again, "*"); len(left) != 0 {
			t.Errorf("%s: left %v", name, left)
		}
	}
}

func TestDamagedFileIsKeptForTheOperator(t *testing.T) {
	s := open(t, Config{SegmentBytes: 40})
	put(t, s, 1)
	put(t, s, 2)
	put(t, s, 3)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	first := files(t, s, "*")[0]
	b, _ := os.ReadFile(first)
	b[len(b)-1] ^= 1
	if err := os.WriteFile(first, b, 0o600); err != nil {
		t.Fatal(err)
	}
	again := open(t, s.cfg)
	if diff := cmp.Diff(wantValues(2, 3), drain(t, again)); diff != "" {
		t.Error(diff)
	}
	if left := files(t, again, "*.damaged"); len(left) != 1 {
		t.Errorf("kept %v", left)
	}
}

func TestConcurrentAppendsShareSyncsAndAllArrive(t *testing.T) {
	s := open(t, Config{SegmentBytes: 2000})
	const callers, each = 16, 25
	var got []string
	var mu sync.Mutex
	var appending, draining sync.WaitGroup
	stop := make(chan struct{})
	draining.Go(func() {
		for {
			err := s.Drain(context.WithoutCancel(t.Context()), func(_ context.Context, recs []eventlog.Record) error {
				mu.Lock()
				defer mu.Unlock()
				for _, r := range recs {
					got = append(got, string(r.Value))
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	for c := range callers {
		appending.Go(func() {
			for i := range each {
				put(t, s, c*1000+i)
			}
		})
	}
	appending.Wait()
	close(stop)
	draining.Wait()
	got = append(got, valuesOf(drain(t, s))...)
	slices.Sort(got)
	if n := len(slices.Compact(got)); n != callers*each {
		t.Errorf("%d of %d records arrived", n, callers*each)
	}
}

func valuesOf(pairs []string) (values []string) {
	for _, p := range pairs {
		_, v, _ := strings.Cut(p, "=")
		values = append(values, v)
	}
	return values
}

func BenchmarkAppend(b *testing.B) {
	s := open(b, Config{})
	recs := make([]eventlog.Record, 100)
	for i := range recs {
		recs[i] = record(i)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Append(recs, time.Now()); err != nil {
			b.Fatal(err)
		}
	}
}
