package store_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/aftertouch-io/aftertouch/internal/store"
	"github.com/aftertouch-io/aftertouch/internal/store/storetest"
)

// faulty passes inserts on and lets some fail, before or after they were carried out.
type faulty struct {
	driver.Conn
	// before and after return an error for the statement, or nil.
	before, after func(statement string) error
	statements    []string
}

func (f *faulty) InsertFormat(ctx context.Context, format, statement string, data io.Reader) error {
	f.statements = append(f.statements, statement)
	if f.before != nil {
		if err := f.before(statement); err != nil {
			return err
		}
	}
	if err := f.Conn.InsertFormat(ctx, format, statement, data); err != nil {
		return err
	}
	if f.after != nil {
		return f.after(statement)
	}
	return nil
}

// table returns the table of an insert.
func table(statement string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(statement, "INSERT INTO "), " ")
	return name
}

// openFaulty returns a migrated store whose inserts go through f.
func openFaulty(t *testing.T, f *faulty, reg prometheus.Registerer) *store.Store {
	t.Helper()
	cfg := store.Default()
	cfg.RetryFor, cfg.Registerer = 2*time.Second, reg
	s := storetest.OpenEmpty(t, cfg)
	if err := s.Migrate(storetest.Context(t), store.MigrateOptions{}); err != nil {
		t.Fatal(err)
	}
	store.WrapConn(s, func(c driver.Conn) driver.Conn {
		f.Conn = c
		return f
	})
	return s
}

var errLost = errors.New("connection reset by peer")

func TestRowsAreWrittenBeforeTheirMarksAndProgressLast(t *testing.T) {
	f := &faulty{}
	s := openFaulty(t, f, nil)
	storetest.Insert(t, s, storetest.Batch())
	var got []string
	for _, statement := range f.statements {
		got = append(got, table(statement))
	}
	want := []string{"facts", "identities", "refusals", "journeys", "journey_changes", "dirty_hours", "progress"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("order of inserts (-want +got):\n%s", diff)
	}
}

// TestAnUnknownOutcomeIsTriedAgain loses the answer of every table's first insert after the engine has carried it out.
func TestAnUnknownOutcomeIsTriedAgain(t *testing.T) {
	clean := storetest.Open(t)
	storetest.Insert(t, clean, storetest.Batch())

	lost := map[string]bool{}
	f := &faulty{after: func(statement string) error {
		if lost[table(statement)] {
			return nil
		}
		lost[table(statement)] = true
		return errLost
	}}
	reg := prometheus.NewRegistry()
	s := openFaulty(t, f, reg)
	storetest.Insert(t, s, storetest.Batch())
	if diff := cmp.Diff(contents(t, clean), contents(t, s)); diff != "" {
		t.Errorf("trying again gave other rows (-clean +retried):\n%s", diff)
	}
	if got := counter(t, reg, "aftertouch_store_errors_total", "facts", "retryable"); got != 1 {
		t.Errorf("counted %v retryable errors of facts, want 1", got)
	}
	if got := counter(t, reg, "aftertouch_store_rows_total", "facts", ""); got != 8 {
		t.Errorf("counted %v rows of facts, want 8", got)
	}
}

// TestNothingFollowsAnInsertThatFails stops at each table in turn: what comes after it must not be written.
func TestNothingFollowsAnInsertThatFails(t *testing.T) {
	order := []string{"facts", "identities", "refusals", "journeys", "journey_changes", "dirty_hours", "progress"}
	var broken string
	f := &faulty{before: func(statement string) error {
		if table(statement) == broken {
			return &clickhouse.Exception{Code: 117, Message: "incorrect data"}
		}
		return nil
	}}
	reg := prometheus.NewRegistry()
	s := openFaulty(t, f, reg)
	for i, name := range order {
		broken = name
		err := s.Insert(storetest.Context(t), storetest.Batch())
		if !errors.Is(err, store.ErrPermanent) {
			t.Errorf("%s: error %v, want ErrPermanent", broken, err)
		}
		if got := counter(t, reg, "aftertouch_store_errors_total", broken, "permanent"); got != 1 {
			t.Errorf("%s: counted %v permanent errors, want 1", broken, got)
		}
		for j, other := range order {
			written := texts(t, s, "SELECT toString(count()) FROM "+other)[0] != "0"
			if written != (j < i) {
				t.Errorf("%s failed: %s written is %v", broken, other, written)
			}
			if err := s.Conn().Exec(storetest.Context(t), "TRUNCATE TABLE "+other); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestInsertGivesUpAfterItsTime(t *testing.T) {
	t.Parallel() // it waits
	f := &faulty{before: func(string) error { return errLost }}
	s := openFaulty(t, f, nil)
	start := time.Now()
	err := s.Insert(storetest.Context(t), storetest.Batch())
	if !errors.Is(err, errLost) || errors.Is(err, store.ErrPermanent) {
		t.Errorf("error is %v, want the lost connection, not for good", err)
	}
	if took := time.Since(start); took < time.Second || took > 5*time.Second {
		t.Errorf("gave up after %v, want about 2 s", took)
	}
	if len(f.statements) < 3 {
		t.Errorf("tried %d times", len(f.statements))
	}
}

func TestInsertEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(storetest.Context(t))
	f := &faulty{before: func(string) error { cancel(); return errLost }}
	s := openFaulty(t, f, nil)
	if err := s.Insert(ctx, storetest.Batch()); !errors.Is(err, errLost) {
		t.Errorf("error is %v", err)
	}
	if len(f.statements) != 1 {
		t.Errorf("tried %d times after the context had ended", len(f.statements))
	}
}

func TestAWorkspaceWithoutAKeyWritesNothing(t *testing.T) {
	s := storetest.Open(t)
	b := storetest.Batch()
	b.IdentityKey = func(string) []byte { return nil }
	if err := s.Insert(storetest.Context(t), b); !errors.Is(err, store.ErrPermanent) {
		t.Errorf("error is %v, want ErrPermanent", err)
	}
	if got := texts(t, s, "SELECT toString(count()) FROM facts"); got[0] != "0" {
		t.Errorf("%s facts were written under no key", got[0])
	}
}

func TestTheEnginesErrorsAreToldApart(t *testing.T) {
	s := storetest.Open(t)
	ctx := storetest.Context(t)
	for statement, permanent := range map[string]bool{
		"INSERT INTO progress (epoch) SELECT 'x'":                true,
		"SELECT toDate('never')":                                 true,
		"SELECT sleepEachRow(1) SETTINGS max_execution_time=0.1": false,
		"SELECT * FROM no_such_table":                            false, // the schema may be on its way
	} {
		err := s.Conn().Exec(ctx, statement)
		if err == nil {
			t.Errorf("%s: no error", statement)
		} else if got := store.Permanent(err); got != permanent {
			t.Errorf("%s: permanent is %v: %v", statement, got, err)
		}
	}
}

// counter returns the value of a counter with the labels table and kind, the latter if it has one.
func counter(t *testing.T, reg *prometheus.Registry, name, table, kind string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if labels["table"] == table && labels["kind"] == kind {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}
