package chdb

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// rawPath is the endpoint's path for clients that opened DSN: there the engine calls itself revision 0, which is the revision that it writes
// Native blocks in, and blocks pass unchanged. On any other path blocks are encoded again at the client's revision.
const rawPath = "/raw"

// hello is clickhouse-go's first statement on a connection. Its answer fixes the revision that the client decodes all later blocks at.
const hello = "SELECT displayName(), version(), revision(), timezone()"

// helloRaw is what hello becomes on rawPath.
const helloRaw = "SELECT displayName(), version(), toUInt32(0), timezone()"

// request is one statement as a client asked for it.
type request struct {
	statement string
	database  string
	settings  map[string]string
	params    params
	format    string // the client's default format
	revision  uint64 // of Native blocks in the answer
	buffered  bool   // wait_end_of_query: answer only when the whole result is known
	compress  bool   // answer in ClickHouse's own compressed frames

	insertFormat string    // not empty: statement is an INSERT and body its data
	inline       string    // the whole text of an INSERT whose VALUES came with it, when it is short enough to be known whole
	body         io.Reader // decompressed
}

// maxStatement bounds the text of one statement, in bytes; the data of an INSERT streams and has no bound.
const maxStatement = 64 << 20

// parse reads a statement the way a ClickHouse server does over HTTP.
func parse(r *http.Request) (*request, error) {
	values := r.URL.Query()
	req := &request{settings: map[string]string{}, format: "TabSeparated"}
	for name := range values {
		if err := req.parameter(name, values.Get(name)); err != nil {
			return nil, err
		}
	}
	if v := r.Header.Get("X-ClickHouse-Database"); v != "" && req.database == "" {
		req.database = v
	}
	if v := r.Header.Get("X-ClickHouse-Format"); v != "" {
		req.format = v
	}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/") {
		return nil, refuse(codeNotImplemented, "external tables are not supported by the embedded engine")
	}
	body, err := decompressed(r, values)
	if err != nil {
		return nil, err
	}
	if err := req.split(values.Get("query"), body); err != nil {
		return nil, err
	}
	if r.URL.Path == rawPath {
		if req.statement == hello {
			req.statement = helloRaw
		} else {
			req.revision = 0
		}
	}
	return req, nil
}

// parameter takes one URL parameter: a word of the HTTP interface, a statement's parameter, or a setting.
func (req *request) parameter(name, value string) (err error) {
	switch name {
	case "query", "query_id", "quota_key", "user", "password", "decompress", "buffer_size", "enable_http_compression", "send_progress_in_http_headers":
	case "database":
		req.database = value
	case "default_format":
		req.format = value
	case "wait_end_of_query":
		req.buffered = value == "1" || value == "true"
	case "compress":
		req.compress = value == "1"
	case "client_protocol_version":
		if req.revision, err = strconv.ParseUint(value, 10, 32); err != nil {
			return refuse(codeSyntaxError, "client_protocol_version is not a number")
		}
	case "session_id", "session_timeout", "session_check", "role":
		return refuse(codeNotImplemented, name+" is not supported by the embedded engine: each statement has a session of its own")
	case "async_insert", "wait_for_async_insert":
		// Inserts are always synchronous here, which keeps every promise an asynchronous one makes.
	default:
		if p, ok := strings.CutPrefix(name, "param_"); ok {
			req.params.names, req.params.values = append(req.params.names, p), append(req.params.values, value)
			return nil
		}
		req.settings[name] = value
	}
	return nil
}

// headSize is how much of a body is looked at to tell a statement from its data, in bytes.
const headSize = 64 << 10

// split tells the statement from the data of an INSERT. A server reads the parameter `query`, a line end and the body as one text.
func (req *request) split(query string, body io.Reader) error {
	if statement, format, data, ok := splitInsert(query); ok {
		if data != "" {
			body = io.MultiReader(strings.NewReader(data+"\n"), body)
		}
		req.statement, req.insertFormat, req.body = statement, format, body
		return nil
	}
	if query != "" {
		query += "\n"
	}
	buffered := bufio.NewReaderSize(io.MultiReader(strings.NewReader(query), body), headSize)
	head, err := buffered.Peek(headSize)
	if err != nil && !errors.Is(err, io.EOF) {
		return &bodyError{err}
	}
	if statement, format, data, ok := splitInsert(string(head)); ok {
		_, _ = buffered.Discard(len(head)) // it is in the buffer
		req.statement, req.insertFormat, req.body = statement, format, io.MultiReader(strings.NewReader(data), buffered)
		if format == "Values" && len(head) < headSize {
			req.inline = string(head)
		}
		return nil
	}
	text, err := io.ReadAll(io.LimitReader(buffered, maxStatement+1))
	if err != nil {
		return &bodyError{err}
	}
	if len(text) > maxStatement {
		return refuse(codeSyntaxError, fmt.Sprintf("The statement is over %d bytes", maxStatement))
	}
	req.statement = strings.TrimSuffix(string(text), "\n")
	if statement, format, data, ok := splitInsert(req.statement); ok { // its column list is longer than the head
		req.statement, req.insertFormat, req.body = statement, format, strings.NewReader(data)
	}
	return nil
}

var formatClause = regexp.MustCompile(`(?is)\bformat\s+(\w+)\s*(settings\s.*)?;?\s*$`)

// outputFormat is the format of the statement's result: its own FORMAT, else the client's default.
func (req *request) outputFormat() string {
	if m := formatClause.FindStringSubmatch(req.statement); m != nil {
		return m[1]
	}
	return req.format
}

// refuse makes an error of the endpoint itself in the engine's form.
func refuse(code int, text string) *Error {
	return &Error{Code: code, Text: fmt.Sprintf("Code: %d. DB::Exception: %s. (%s)", code, text, codeNames[code])}
}
