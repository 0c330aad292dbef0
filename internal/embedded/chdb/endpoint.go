package chdb

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"
)

// userName is the endpoint's only user; the password is new in each run.
const userName = "aftertouch"

const exceptionCodeHeader = "X-ClickHouse-Exception-Code"

// handle answers one request.
func (e *Engine) handle(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/ping" {
		_, _ = io.WriteString(w, "Ok.\n")
		return
	}
	if !e.authorized(r) {
		w.Header().Set("WWW-Authenticate", `Basic realm="aftertouch engine"`)
		writeError(w, http.StatusUnauthorized, refuse(codeAuthFailed, "the user or the password is wrong: use the address that this run made"))
		return
	}
	req, err := parse(r)
	if err == nil {
		err = e.run(w, r, req)
	}
	if err != nil {
		e.fail(w, r, err)
	}
}

// authorized compares the password in constant time.
func (e *Engine) authorized(r *http.Request) bool {
	user, password, ok := r.BasicAuth()
	if !ok {
		user, password = r.Header.Get("X-ClickHouse-User"), r.Header.Get("X-ClickHouse-Key")
	}
	return subtle.ConstantTimeCompare([]byte(user), []byte(userName))&subtle.ConstantTimeCompare([]byte(password), []byte(e.password)) == 1
}

// run executes the request in a session of its own. An error means that nothing of the answer has been written.
func (e *Engine) run(w http.ResponseWriter, r *http.Request, req *request) error {
	ctx := r.Context()
	select {
	case e.slots <- struct{}{}:
		defer func() { <-e.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	s, err := e.session()
	if err != nil {
		return err
	}
	defer s.close()

	settings := e.cfg.sessionSettings()
	maps.Copy(settings, req.settings)
	settings["async_insert"] = "0" // an answer means durable
	token := rand.Text()
	settings["log_comment"] = token
	if err := s.prepare(req.database, settings); err != nil {
		return err
	}
	defer e.killOnDone(ctx, token)()
	if req.insertFormat != "" {
		return e.insert(w, s, req)
	}
	return e.query(ctx, w, s, req)
}

func (e *Engine) insert(w http.ResponseWriter, s *session, req *request) error {
	if req.inline != "" { // the format's reader would ignore a second statement
		if _, statements, err := s.classify(req.inline); err == nil && statements > 1 {
			return refuse(codeSyntaxError, "Multi-statements are not allowed")
		}
	}
	if err := s.insert(req.statement, req.insertFormat, req.params, req.body); err != nil {
		return err
	}
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusOK)
	return nil
}

func (e *Engine) query(ctx context.Context, w http.ResponseWriter, s *session, req *request) error {
	class, statements, err := s.classify(req.statement)
	switch {
	case err != nil:
		return err
	case statements > 1:
		return refuse(codeSyntaxError, "Multi-statements are not allowed")
	case strings.TrimSpace(req.statement) == "":
		return refuse(codeSyntaxError, "Empty query")
	}
	format := req.outputFormat()
	next, closeResult, err := start(s, req, class == classReadOnly && !req.buffered)
	if err != nil {
		return err
	}
	defer closeResult()
	if format == "Native" && req.revision > 0 {
		next = reencode(next, req.revision)
	}
	return e.send(ctx, w, req, format, next)
}

// start runs the statement and returns the parts of its result: block by block when it can stream, else the whole. Only SELECT streams in the
// engine; it refuses SHOW, DESCRIBE and the like before they run.
func start(s *session, req *request, streaming bool) (next func() ([]byte, error), closeResult func(), err error) {
	if streaming {
		st, err := s.query(req.statement, req.format, req.params)
		if err == nil {
			return st.next, st.close, nil
		}
		if !strings.Contains(err.Error(), "Streaming query is not supported") {
			return nil, nil, err
		}
	}
	whole, err := s.exec(req.statement, req.format, req.params)
	if err != nil {
		return nil, nil, err
	}
	next = func() ([]byte, error) {
		part := whole
		whole = nil
		return part, nil
	}
	return next, func() {}, nil
}

// send writes the result. The first part is fetched before the status goes out, so a statement that fails at once has an honest status; a later
// failure is written as an exception block, which clickhouse-go reports as an error, and the connection is broken off.
func (e *Engine) send(ctx context.Context, w http.ResponseWriter, req *request, format string, next func() ([]byte, error)) error {
	part, err := next()
	if err != nil {
		return err
	}
	tag := rand.Text()[:16]
	h := w.Header()
	h.Set("X-ClickHouse-Format", format)
	h.Set("X-ClickHouse-Exception-Tag", tag)
	h.Set("Content-Type", "application/octet-stream")
	if len(part) == 0 {
		h.Set("Content-Length", "0")
	}
	w.WriteHeader(http.StatusOK)
	var out io.Writer = w
	if req.compress {
		out = newFrameWriter(w, req.settings)
	}
	for len(part) > 0 {
		if _, err := out.Write(part); err != nil {
			return nil //nolint:nilerr // the client is gone: nobody to tell
		}
		if part, err = next(); err != nil {
			writeException(w, tag, e.explain(ctx, err))
			panic(http.ErrAbortHandler) // no proper end of the body, so that no client takes it for a whole result
		}
	}
	return nil
}

// explain gives every error the engine's form.
func (e *Engine) explain(ctx context.Context, err error) *Error {
	var engine *Error
	var body *bodyError
	switch {
	case errors.As(err, &engine):
		return engine
	case ctx.Err() != nil:
		return refuse(codeCancelled, "Query was cancelled")
	case errors.As(err, &body):
		return refuse(codeBadBody, body.Error())
	}
	return newError(err.Error())
}

// fail answers with an error. For a client that is gone nothing is written.
func (e *Engine) fail(w http.ResponseWriter, r *http.Request, err error) {
	writeError(w, http.StatusInternalServerError, e.explain(r.Context(), err))
}

func writeError(w http.ResponseWriter, status int, err *Error) {
	h := w.Header()
	h.Set(exceptionCodeHeader, strconv.Itoa(err.Code))
	h.Set("Content-Type", "text/plain; charset=UTF-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, err.Text+"\n")
}

// writeException ends a body that has begun with the block that ClickHouse servers use for it.
func writeException(w io.Writer, tag string, err *Error) {
	const maxText = 8 << 10
	text := err.Text[:min(len(err.Text), maxText)] + "\n"
	_, _ = fmt.Fprintf(w, "\r\n__exception__\r\n%s\r\n%s%d %s\r\n__exception__\r\n", tag, text, len(text), tag)
	if f, ok := w.(http.Flusher); ok {
		f.Flush()
	}
}
