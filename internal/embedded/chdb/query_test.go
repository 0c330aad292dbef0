package chdb_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// post sends a statement as any HTTP client would and returns status, exception code and body.
func post(t testing.TB, dsn string, parameters url.Values, body string, edit ...func(*http.Request)) (status int, code, answer string) {
	t.Helper()
	u, err := url.Parse(dsn)
	must(t, err)
	parameters.Set("database", strings.TrimPrefix(u.Path, "/"))
	u.Path, u.RawQuery = "/", parameters.Encode()
	r, err := http.NewRequestWithContext(within(t, time.Minute), http.MethodPost, u.String(), strings.NewReader(body))
	must(t, err)
	for _, f := range edit {
		f(r)
	}
	resp, err := http.DefaultClient.Do(r)
	must(t, err)
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body) // a result that fails half-way ends without its proper end
	return resp.StatusCode, resp.Header.Get("X-ClickHouse-Exception-Code"), string(b)
}

// exception returns the engine's error number, 0 when err carries none.
func exception(err error) int32 {
	var e *clickhouse.Exception
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}

func TestEngineErrorsReachTheCallerWithTheirNumber(t *testing.T) {
	dsn := database(t)
	for _, c := range []struct {
		statement string
		code      int32
	}{
		{"SELECT * FROM missing", 60},
		{"SELECT nope", 47},
		{"SELEC 1", 62},
		{"SELECT 1 SETTINGS no_such_setting = 1", 115},
		{"SELECT throwIf(1)", 395},
		{"SELECT 1; SELECT 2", 62},
		{"SELECT {p:UInt8}", 456},
		{"DROP TABLE missing", 60},
		{"INSERT INTO missing VALUES (1)", 60},
		{"INSERT INTO missing SELECT 1", 60},
		{"SELECT sleep(3) SETTINGS max_execution_time = 0.2", 159},
		{"foo", 62},
		{"", 62},
	} {
		for name, d := range map[string]string{"raw": dsn, "reencoded": reencoded(t, dsn)} {
			ctx, conn := within(t, time.Minute), openDSN(t, d)
			if err := conn.Exec(ctx, c.statement); exception(err) != c.code {
				t.Errorf("%s: Exec(%q) = %v; want code %d", name, c.statement, err, c.code)
			}
			rows, err := conn.Query(ctx, c.statement)
			if err == nil {
				for rows.Next() {
				}
				err = errors.Join(rows.Err(), rows.Close())
			}
			if exception(err) != c.code {
				t.Errorf("%s: Query(%q) = %v; want code %d", name, c.statement, err, c.code)
			}
		}
	}
}

// A statement that fails after rows have gone out must not look like a shorter result.
func TestAnErrorInTheMiddleOfAResultIsAnError(t *testing.T) {
	dsn := database(t)
	compressed := func(m clickhouse.CompressionMethod) func(*clickhouse.Options) {
		return func(o *clickhouse.Options) { o.Compression = &clickhouse.Compression{Method: m} }
	}
	for name, d := range map[string]string{"raw": dsn, "reencoded": reencoded(t, dsn)} {
		for _, method := range []clickhouse.CompressionMethod{clickhouse.CompressionNone, clickhouse.CompressionLZ4, clickhouse.CompressionZSTD, clickhouse.CompressionGZIP} {
			conn := openDSN(t, d, compressed(method))
			rows, err := conn.Query(within(t, time.Minute), "SELECT number, throwIf(number = 500000) FROM numbers(1000000) SETTINGS max_block_size = 10000, max_threads = 1")
			must(t, err)
			n := 0
			for rows.Next() {
				n++
			}
			if exception(rows.Err()) != 395 {
				t.Errorf("%s, %v: after %d rows: %v; want code 395", name, method, n, rows.Err())
			}
			if n == 0 {
				t.Errorf("%s, %v: the statement failed before its first row: the test shows nothing", name, method)
			}
			rows.Close()
		}
	}
}

func TestAnErrorInTheMiddleBreaksOffThePlainBody(t *testing.T) {
	dsn := database(t)
	status, _, body := post(t, dsn, url.Values{}, "SELECT throwIf(number = 500000) FROM numbers(1000000) FORMAT TSV SETTINGS max_block_size = 10000, max_threads = 1")
	if status != http.StatusOK || !strings.Contains(body, "__exception__") || !strings.Contains(body, "Code: 395") {
		t.Errorf("status %d, %d bytes, ending %q", status, len(body), body[max(0, len(body)-300):])
	}
	// wait_end_of_query asks for the status to tell.
	status, code, body := post(t, dsn, url.Values{"wait_end_of_query": {"1"}}, "SELECT throwIf(number = 500000) FROM numbers(1000000) FORMAT TSV")
	if status != http.StatusInternalServerError || code != "395" {
		t.Errorf("with wait_end_of_query: status %d, code %s, %d bytes", status, code, len(body))
	}
}

func TestAnEmptyResultIsEmptyAndNoError(t *testing.T) {
	dsn := database(t)
	for name, d := range map[string]string{"raw": dsn, "reencoded": reencoded(t, dsn)} {
		ctx, conn := within(t, time.Minute), openDSN(t, d)
		rows, err := conn.Query(ctx, "SELECT number, toString(number) FROM numbers(10) WHERE number > 100")
		must(t, err)
		if rows.Next() || rows.Err() != nil {
			t.Errorf("%s: rows: %v", name, rows.Err())
		}
		must(t, rows.Close())
		var n uint64
		must(t, conn.QueryRow(ctx, "SELECT count() FROM numbers(10) WHERE number > 100").Scan(&n))
		if n != 0 {
			t.Errorf("%s: count %d", name, n)
		}
		if err := conn.QueryRow(ctx, "SELECT number FROM numbers(0)").Scan(&n); err == nil {
			t.Errorf("%s: a row of an empty result", name)
		}
	}
}

func TestStatementsOfEveryKindAnswer(t *testing.T) {
	ctx, conn := within(t, time.Minute), open(t)
	must(t, conn.Exec(ctx, "CREATE TABLE t (a Int32, b String DEFAULT 'd') ENGINE = ReplacingMergeTree ORDER BY a"))
	must(t, conn.Exec(ctx, "ALTER TABLE t ADD COLUMN c UInt8"))
	must(t, conn.Exec(ctx, "INSERT INTO t (a) SELECT number FROM numbers(3)"))
	must(t, conn.Exec(ctx, "OPTIMIZE TABLE t FINAL"))
	must(t, conn.Exec(ctx, "CREATE VIEW v AS SELECT a FROM t"))
	for statement, want := range map[string]string{
		"SELECT toString(count()) FROM t FINAL":               "3",
		"WITH x AS (SELECT 7 AS y) SELECT toString(y) FROM x": "7",
		"(SELECT '1')": "1",
		"/* a; comment */ SELECT 'a;b' -- the end":                                           "a;b",
		"SELECT toString(max(a)) FROM v":                                                     "2",
		"EXISTS TABLE t FORMAT Native":                                                       "1",
		"SELECT toString({p:Int32} + 1) SETTINGS max_threads = 1":                            "5",
		"SELECT engine FROM system.tables WHERE database = currentDatabase() AND name = 't'": "ReplacingMergeTree",
	} {
		var got string
		c := clickhouse.Context(ctx, clickhouse.WithParameters(clickhouse.Parameters{"p": "4"}))
		var dest any = &got
		var b uint8
		if strings.HasPrefix(statement, "EXISTS") {
			dest = &b
		}
		if err := conn.QueryRow(c, statement).Scan(dest); err != nil {
			t.Errorf("%s: %v", statement, err)
			continue
		}
		if b != 0 {
			got = "1"
		}
		if got != want {
			t.Errorf("%s = %q, want %q", statement, got, want)
		}
	}
	for _, statement := range []string{"SHOW TABLES", "DESCRIBE TABLE t", "EXPLAIN SELECT 1", "SHOW CREATE TABLE t", "CHECK TABLE t", "SYSTEM FLUSH LOGS", "TRUNCATE TABLE t", "DROP VIEW v"} {
		rows, err := conn.Query(ctx, statement)
		if err != nil {
			t.Errorf("%s: %v", statement, err)
			continue
		}
		rows.Close()
	}
}

func TestParametersAreBoundByTheEngine(t *testing.T) {
	ctx, conn := within(t, time.Minute), open(t)
	hard := "it's \\ a\ttab"
	var s string
	var n []uint64
	c := clickhouse.Context(ctx, clickhouse.WithParameters(clickhouse.Parameters{"n": "[1,2]", "s": `it\'s \\ a\ttab`}))
	must(t, conn.QueryRow(c, "SELECT {s:String}, {n:Array(UInt64)}").Scan(&s, &n))
	if s != hard || len(n) != 2 {
		t.Errorf("server-side parameters: %q, %v", s, n)
	}
	must(t, conn.QueryRow(ctx, "SELECT ?", hard).Scan(&s))
	if s != hard {
		t.Errorf("client-side parameter: %q", s)
	}
}

func TestAStatementLeavesNothingToTheNext(t *testing.T) {
	ctx, conn := within(t, time.Minute), open(t)
	must(t, conn.Exec(ctx, "SET max_threads = 1"))
	must(t, conn.Exec(ctx, "USE system"))
	must(t, conn.Exec(ctx, "CREATE TEMPORARY TABLE tmp (a UInt8)"))
	var database, threads string
	must(t, conn.QueryRow(ctx, "SELECT currentDatabase(), toString(getSetting('max_threads')) SETTINGS max_threads = 7").Scan(&database, &threads))
	if !strings.HasPrefix(database, "db_") || threads != "7" {
		t.Errorf("database %s, max_threads %s", database, threads)
	}
	if err := conn.Exec(ctx, "SELECT * FROM tmp"); exception(err) != 60 {
		t.Errorf("a temporary table of another statement: %v", err)
	}
}

func TestSettingsOfTheRequestApply(t *testing.T) {
	ctx, conn := within(t, time.Minute), open(t)
	c := clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"max_result_rows": 10, "result_overflow_mode": "throw"}))
	if err := conn.Exec(c, "SELECT number FROM numbers(100)"); exception(err) != 396 {
		t.Errorf("max_result_rows: %v; want code 396", err)
	}
	if err := conn.Exec(clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"no_such": 1})), "SELECT 1"); exception(err) != 115 {
		t.Errorf("an unknown setting: %v; want code 115", err)
	}
	evil := clickhouse.Settings{"max_threads = 1, max_memory_usage": "1"}
	if err := conn.Exec(clickhouse.Context(ctx, clickhouse.WithSettings(evil)), "SELECT 1"); exception(err) != 115 {
		t.Errorf("SQL in a setting's name: %v; want code 115", err)
	}
}

func TestOnlyThisRunsPasswordOpensTheEndpoint(t *testing.T) {
	dsn := database(t)
	for _, user := range []*url.Userinfo{nil, url.User("default"), url.UserPassword("aftertouch", "wrong"), url.UserPassword("default", "")} {
		u, err := url.Parse(dsn)
		must(t, err)
		u.User = user
		if status, code, _ := post(t, u.String(), url.Values{}, "SELECT 1"); status != http.StatusUnauthorized || code != "516" {
			t.Errorf("%v: status %d, code %s; want 401, 516", user, status, code)
		}
	}
}

func TestWhatIsNotSupportedIsRefused(t *testing.T) {
	dsn := database(t)
	for name, c := range map[string]struct {
		parameters url.Values
		edit       func(*http.Request)
	}{
		"session":          {parameters: url.Values{"session_id": {"s"}}},
		"role":             {parameters: url.Values{"role": {"r"}}},
		"external table":   {edit: func(r *http.Request) { r.Header.Set("Content-Type", "multipart/form-data; boundary=x") }},
		"content encoding": {edit: func(r *http.Request) { r.Header.Set("Content-Encoding", "xz") }},
	} {
		edit := c.edit
		if edit == nil {
			edit = func(*http.Request) {}
		}
		if c.parameters == nil {
			c.parameters = url.Values{}
		}
		if status, code, _ := post(t, dsn, c.parameters, "SELECT 1", edit); status != http.StatusInternalServerError || code != "48" {
			t.Errorf("%s: status %d, code %s; want 500, 48", name, status, code)
		}
	}
}

// running counts the engine's statements that hold the text, but for the one that asks.
func running(t testing.TB, text string) (n uint64) {
	t.Helper()
	conn := openDSN(t, engine(t).DSN())
	must(t, conn.QueryRow(within(t, time.Minute), "SELECT count() FROM system.processes WHERE position(query, ?) > 0 AND position(query, 'system.processes') = 0", text).Scan(&n))
	return n
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("not within 20 s: %s", what)
}

func TestCancellingStopsTheStatement(t *testing.T) {
	for name, statement := range map[string]string{
		"before the first row": "SELECT sum(sipHash64(number)), 'cancel me 1' FROM numbers(1000000000000)",
		"between rows":         "SELECT number, 'cancel me 2' FROM numbers(1000000000000)",
		"not streaming":        "INSERT INTO FUNCTION null('n UInt64') SELECT sipHash64(number) + length('cancel me 3') FROM numbers(1000000000000)",
	} {
		t.Run(name, func(t *testing.T) {
			conn := open(t)
			mark := statement[strings.Index(statement, "cancel me"):][:11]
			ctx, cancel := context.WithCancel(within(t, time.Minute))
			failed := make(chan error, 1)
			go func() {
				rows, err := conn.Query(ctx, statement)
				if err == nil {
					for rows.Next() {
					}
					err = rows.Err()
				}
				failed <- err
			}()
			eventually(t, "the statement runs", func() bool { return running(t, mark) == 1 })
			cancel()
			if err := <-failed; err == nil {
				t.Error("the cancelled statement ended without an error")
			}
			eventually(t, "the statement has ended in the engine", func() bool { return running(t, mark) == 0 })
		})
	}
}

func TestADeadlineStopsTheStatement(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	conn := open(t)
	if err := conn.Exec(ctx, "SELECT sum(sipHash64(number)), 'deadline' FROM numbers(1000000000000)"); err == nil {
		t.Fatal("no error")
	}
	eventually(t, "the statement has ended in the engine", func() bool { return running(t, "'deadline'") == 0 })
}

// A statement over its memory limit fails; the process lives on.
func TestAStatementOverTheMemoryLimitFails(t *testing.T) {
	ctx, conn := within(t, time.Minute), open(t)
	err := conn.Exec(ctx, "SELECT groupArray(randomString(1000)) FROM numbers(10000000)")
	if exception(err) != 241 {
		t.Fatalf("%v; want code 241", err)
	}
	must(t, conn.Exec(ctx, "SELECT 1"))
}

func TestALargeResultIsRead(t *testing.T) {
	dsn := database(t)
	for name, d := range map[string]string{"raw": dsn, "reencoded": reencoded(t, dsn)} {
		rows, err := openDSN(t, d).Query(within(t, time.Minute), "SELECT number, toString(number) FROM numbers(1000000)")
		must(t, err)
		var n, sum, v uint64
		var s string
		for ; rows.Next(); n++ {
			must(t, rows.Scan(&v, &s))
			sum += v
		}
		must(t, rows.Err())
		if n != 1_000_000 || sum != 499_999_500_000 {
			t.Errorf("%s: %d rows, sum %d", name, n, sum)
		}
	}
}
