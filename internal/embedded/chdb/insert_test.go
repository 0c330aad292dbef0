package chdb_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// contents returns the rows of table t as text, ordered.
func contents(t testing.TB, conn driver.Conn) string {
	t.Helper()
	var s string
	must(t, conn.QueryRow(within(t, time.Minute), "SELECT arrayStringConcat(groupArray(r), '|') FROM (SELECT toString(tuple(*)) AS r FROM t ORDER BY r)").Scan(&s))
	return s
}

func TestInsertedRowsAreRead(t *testing.T) {
	ctx, conn := within(t, time.Minute), open(t)
	must(t, conn.Exec(ctx, "CREATE TABLE t (id UInt64, name LowCardinality(String), at DateTime64(3, 'UTC')) ENGINE = MergeTree ORDER BY id"))
	batch, err := conn.PrepareBatch(ctx, "INSERT INTO t (id, name, at)")
	must(t, err)
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	for i := range 1000 {
		must(t, batch.Append(uint64(i), "name", at))
	}
	must(t, batch.Send())
	var n, sum uint64
	must(t, conn.QueryRow(ctx, "SELECT count(), sum(id) FROM t WHERE at = ?", at).Scan(&n, &sum))
	if n != 1000 || sum != 999*500 {
		t.Errorf("count %d, sum %d; want 1000, %d", n, sum, 999*500)
	}
}

// The engine's own splitter ends inline data at a blank line: none may be lost.
func TestInlineDataIsInsertedWhole(t *testing.T) {
	for name, c := range map[string]struct{ query, body, want string }{
		"values":             {"", "INSERT INTO t VALUES (1,'a'),\n\n(2,'b');\n", "(1,'a')|(2,'b')"},
		"blank line in text": {"", "INSERT INTO t VALUES (1,'a\n\n\nb')", `(1,'a\n\n\nb')`},
		"expressions":        {"", "insert into t (a, s) values (1 + 1, upper('x') || toString(2))", "(2,'X2')"},
		"format in the body": {"", "INSERT INTO t FORMAT JSONEachRow\n{\"a\":1,\"s\":\"x\"}\n\n{\"a\":2,\"s\":\"y;z\"}\n", "(1,'x')|(2,'y;z')"},
		"data in the body":   {"INSERT INTO t FORMAT TSV", "1\ta\n2\tb\n", "(1,'a')|(2,'b')"},
		"data in both":       {"INSERT INTO t FORMAT TSV 1\ta", "2\tb\n", "(1,'a')|(2,'b')"},
		"values in the URL":  {"INSERT INTO t VALUES", "(1,'a')", "(1,'a')"},
		"settings":           {"INSERT INTO t (a, s) SETTINGS max_insert_block_size = 1 FORMAT TSV", "1\ta\n", "(1,'a')"},
		"comments":           {"", "/* VALUES */ INSERT -- FORMAT x\nINTO t (a, s) VALUES (1, '-- no comment')", "(1,'-- no comment')"},
		"select":             {"", "INSERT INTO t SELECT 1, 'VALUES (2)'", "(1,'VALUES (2)')"},
		"long":               {"", "INSERT INTO t VALUES (1,'" + strings.Repeat("x", 100_000) + "'),\n\n(2,'b')", "(1,'" + strings.Repeat("x", 100_000) + "')|(2,'b')"},
	} {
		t.Run(name, func(t *testing.T) {
			dsn := database(t)
			conn := openDSN(t, dsn)
			must(t, conn.Exec(within(t, time.Minute), "CREATE TABLE t (a Int32, s String) ENGINE = MergeTree ORDER BY a"))
			parameters := url.Values{}
			if c.query != "" {
				parameters.Set("query", c.query)
			}
			if status, _, body := post(t, dsn, parameters, c.body); status != http.StatusOK {
				t.Fatalf("status %d: %.300s", status, body)
			}
			if got := contents(t, conn); got != c.want {
				t.Errorf("inserted %.200s, want %.200s", got, c.want)
			}
		})
	}
}

func TestASecondStatementAfterValuesIsRefused(t *testing.T) {
	dsn := database(t)
	conn := openDSN(t, dsn)
	must(t, conn.Exec(within(t, time.Minute), "CREATE TABLE t (a Int32, s String) ENGINE = MergeTree ORDER BY a"))
	if status, code, _ := post(t, dsn, url.Values{}, "INSERT INTO t VALUES (1,'a'); DROP TABLE t"); status != http.StatusInternalServerError || code != "62" {
		t.Errorf("status %d, code %s; want 500, 62", status, code)
	}
	if got := contents(t, conn); got != "" {
		t.Errorf("inserted %s", got)
	}
}

func TestABadInsertIsAnErrorAndInsertsNothing(t *testing.T) {
	dsn := database(t)
	conn := openDSN(t, dsn)
	must(t, conn.Exec(within(t, time.Minute), "CREATE TABLE t (a Int32, s String, CONSTRAINT c CHECK a != 13) ENGINE = MergeTree ORDER BY a"))
	block := nativeBlock(t, 1000)
	for name, c := range map[string]struct{ query, body, code string }{
		"unknown table":     {"INSERT INTO missing FORMAT Native", block, "60"},
		"unknown column":    {"INSERT INTO t (z) FORMAT Native", block, "16"},
		"unknown format":    {"INSERT INTO t FORMAT Nope", block, "73"},
		"no data":           {"INSERT INTO t (a) FORMAT Native", "not a block", "33"},
		"bad text":          {"INSERT INTO t FORMAT TSV", "1\ta\nx\tb\n", "27"},
		"constraint":        {"INSERT INTO t FORMAT TSV", "13\ta\n", "469"},
		"cut in the middle": {"INSERT INTO t (a, s) FORMAT Native", block[:len(block)/2], "33"},
		"cut at the end":    {"INSERT INTO t (a, s) FORMAT Native", block[:len(block)-1], "33"},
	} {
		if status, code, body := post(t, dsn, url.Values{"query": {c.query}}, c.body); status != http.StatusInternalServerError || code != c.code {
			t.Errorf("%s: status %d, code %s (want 500, %s): %.300s", name, status, code, c.code, body)
		}
		if got := contents(t, conn); got != "" {
			t.Errorf("%s: inserted %.100s", name, got)
		}
	}
	if status, _, body := post(t, dsn, url.Values{"query": {"INSERT INTO t (a, s) FORMAT Native"}}, block); status != http.StatusOK {
		t.Errorf("the whole block: %d %s", status, body)
	}
}

// nativeBlock is n rows (a Int32, s String) in Native.
func nativeBlock(t testing.TB, n int) string {
	t.Helper()
	status, _, body := post(t, engine(t).DSN(), url.Values{}, fmt.Sprintf("SELECT toInt32(number) + 100 AS a, toString(number) AS s FROM numbers(%d) FORMAT Native", n))
	if status != http.StatusOK {
		t.Fatal(status, body)
	}
	return body
}

// A client that dies while it sends must not leave a part of its rows: what has come might be valid by itself.
func TestABodyThatBreaksOffInsertsNothing(t *testing.T) {
	dsn := database(t)
	conn := openDSN(t, dsn)
	must(t, conn.Exec(within(t, time.Minute), "CREATE TABLE t (a Int32, s String) ENGINE = MergeTree ORDER BY a"))
	u, err := url.Parse(dsn)
	must(t, err)
	password, _ := u.User.Password()
	for name, head := range map[string]string{
		"length":  "Content-Length: 1000000\r\n\r\n1\ta\n2\tb\n",
		"chunked": "Transfer-Encoding: chunked\r\n\r\n8\r\n1\ta\n2\tb\n\r\n",
	} {
		c, err := net.Dial("tcp", u.Host)
		must(t, err)
		r, err := http.NewRequest(http.MethodPost, "http://x/", nil)
		must(t, err)
		r.SetBasicAuth("aftertouch", password)
		_, err = fmt.Fprintf(c, "POST /?database=%s&query=INSERT+INTO+t+FORMAT+TSV HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\n%s",
			strings.TrimPrefix(u.Path, "/"), r.Header.Get("Authorization"), head)
		must(t, err)
		time.Sleep(200 * time.Millisecond)
		must(t, c.Close())
		time.Sleep(300 * time.Millisecond)
		if got := contents(t, conn); got != "" {
			t.Errorf("%s: inserted %s", name, got)
		}
	}
}

func TestEveryCompressionOfTheClientWorks(t *testing.T) {
	dsn := database(t)
	plain := openDSN(t, dsn)
	ctx := within(t, time.Minute)
	must(t, plain.Exec(ctx, "CREATE TABLE t (m LowCardinality(String), a UInt64, s String) ENGINE = MergeTree ORDER BY (m, a)"))
	for _, method := range []clickhouse.CompressionMethod{clickhouse.CompressionNone, clickhouse.CompressionLZ4, clickhouse.CompressionZSTD, clickhouse.CompressionGZIP, clickhouse.CompressionDeflate, clickhouse.CompressionBrotli} {
		for name, d := range map[string]string{"raw": dsn, "reencoded": reencoded(t, dsn)} {
			mark := fmt.Sprint(name, method)
			conn := openDSN(t, d, func(o *clickhouse.Options) { o.Compression = &clickhouse.Compression{Method: method, Level: 3} })
			batch, err := conn.PrepareBatch(ctx, "INSERT INTO t (m, a, s)")
			must(t, err)
			for i := range 50_000 {
				must(t, batch.Append(mark, uint64(i), fmt.Sprint(i)))
			}
			if err := batch.Send(); err != nil {
				t.Errorf("%s: inserting: %v", mark, err)
				continue
			}
			var n, sum uint64
			rows, err := conn.Query(ctx, "SELECT a FROM t WHERE m = ?", mark)
			must(t, err)
			for ; rows.Next(); n++ {
				var a uint64
				must(t, rows.Scan(&a))
				sum += a
			}
			if rows.Err() != nil || n != 50_000 || sum != 49_999*25_000 {
				t.Errorf("%s: %d rows, sum %d, %v", mark, n, sum, rows.Err())
			}
			if err := conn.Exec(ctx, "SELECT * FROM missing"); exception(err) != 60 {
				t.Errorf("%s: an error came as %v", mark, err)
			}
		}
	}
}

// A frame whose checksum is wrong is refused.
func TestADamagedCompressedBodyIsRefused(t *testing.T) {
	dsn := database(t)
	conn := openDSN(t, dsn)
	must(t, conn.Exec(within(t, time.Minute), "CREATE TABLE t (a Int32, s String) ENGINE = MergeTree ORDER BY a"))
	_, _, frames := post(t, engine(t).DSN(), url.Values{"compress": {"1"}}, "SELECT toInt32(number) AS a, toString(number) AS s FROM numbers(1000) FORMAT Native")
	query := url.Values{"query": {"INSERT INTO t (a, s) FORMAT Native"}, "decompress": {"1"}}
	for name, body := range map[string]string{
		"damaged": frames[:100] + "x" + frames[101:],
		"cut":     frames[:len(frames)-7],
		"header":  frames + "0123",
	} {
		if status, code, answer := post(t, dsn, query, body); status != http.StatusInternalServerError || code != "33" {
			t.Errorf("%s: status %d, code %s: %.200s", name, status, code, answer)
		}
		if got := contents(t, conn); got != "" {
			t.Errorf("%s: inserted %.100s", name, got)
		}
	}
	if status, _, answer := post(t, dsn, query, frames); status != http.StatusOK {
		t.Errorf("the whole body: %d %s", status, answer)
	}
}

func TestAsynchronousInsertsAreDurableWhenAnswered(t *testing.T) {
	ctx, conn := within(t, time.Minute), open(t)
	must(t, conn.Exec(ctx, "CREATE TABLE t (a Int32) ENGINE = MergeTree ORDER BY a"))
	must(t, conn.AsyncInsert(ctx, "INSERT INTO t VALUES (1)", false)) //nolint:staticcheck // the client offers it
	c := clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"async_insert": 1, "wait_for_async_insert": 0}))
	must(t, conn.Exec(c, "INSERT INTO t VALUES (2)"))
	if got := contents(t, conn); got != "(1)|(2)" {
		t.Errorf("read %s right after the answer", got)
	}
}

func TestPartsAreSyncedByDefault(t *testing.T) {
	conn := openDSN(t, engine(t).DSN())
	var n uint64
	must(t, conn.QueryRow(within(t, time.Minute), "SELECT count() FROM system.merge_tree_settings WHERE name IN ('fsync_after_insert', 'fsync_part_directory') AND value = '1'").Scan(&n))
	if n != 2 {
		t.Errorf("%d of 2 settings are on", n)
	}
}

// slowBody gives its first part and then waits for the end of the request, whose cause it returns.
type slowBody struct {
	first io.Reader
	done  <-chan struct{}
}

func (s *slowBody) Read(p []byte) (int, error) {
	if n, err := s.first.Read(p); err == nil {
		return n, nil
	}
	<-s.done
	return 0, context.Canceled
}

func TestCancellingAnInsertInsertsNothing(t *testing.T) {
	dsn := database(t)
	conn := openDSN(t, dsn)
	must(t, conn.Exec(within(t, time.Minute), "CREATE TABLE t (a Int32, s String) ENGINE = MergeTree ORDER BY a"))
	u, err := url.Parse(dsn)
	must(t, err)
	u.RawQuery = url.Values{"database": {strings.TrimPrefix(u.Path, "/")}, "query": {"INSERT INTO t FORMAT TSV"}}.Encode()
	u.Path = "/"
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), &slowBody{first: bytes.NewReader([]byte("1\ta\n")), done: ctx.Done()})
	must(t, err)
	failed := make(chan error, 1)
	go func() {
		resp, err := http.DefaultClient.Do(r)
		if err == nil {
			resp.Body.Close()
		}
		failed <- err
	}()
	time.Sleep(300 * time.Millisecond)
	cancel()
	if err := <-failed; err == nil {
		t.Error("the cancelled insert was answered")
	}
	time.Sleep(300 * time.Millisecond)
	if got := contents(t, conn); got != "" {
		t.Errorf("inserted %s", got)
	}
}
