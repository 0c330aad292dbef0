package chdb

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unsafe"
)

// session is one connection of the engine. It lives for one statement, so no setting, current database or temporary table passes
// from one caller to another. It runs one statement at a time; sessions run beside each other.
type session struct {
	lib *library
	ptr unsafe.Pointer // chdb_connection *
}

// open makes a connection; it fails only when the engine itself cannot start.
func (l *library) open(args ...string) (*session, error) {
	argv := newCstrings(append([]string{"clickhouse"}, args...)...)
	defer argv.unpin()
	ptr := l.connect(int32(len(args)+1), argv.array())
	if ptr == nil || *(*unsafe.Pointer)(ptr) == nil {
		return nil, errors.New("the engine refused the connection")
	}
	return &session{lib: l, ptr: ptr}, nil
}

func (s *session) handle() unsafe.Pointer { return *(*unsafe.Pointer)(s.ptr) }

func (s *session) close() { s.lib.closeConn(s.ptr) }

// params are the values of a statement's {name:Type} placeholders, in the engine's escaped text form.
type params struct{ names, values []string }

// exec runs one statement and returns its whole result in the format.
func (s *session) exec(statement, format string, p params) ([]byte, error) {
	names, values := newCstrings(p.names...), newCstrings(p.values...)
	defer names.unpin()
	defer values.unpin()
	q, qLen := text(statement)
	f, fLen := text(format)
	return s.lib.take(s.lib.query(s.handle(), q, qLen, f, fLen, names.array(), names.sizes(), values.array(), values.sizes(), uintptr(len(p.names))))
}

// take copies a result out of the engine and frees it.
func (l *library) take(result unsafe.Pointer) ([]byte, error) {
	if result == nil {
		return nil, errors.New("the engine returned no result")
	}
	defer l.destroyResult(result)
	if msg := l.resultError(result); msg != "" {
		return nil, newError(msg)
	}
	n := l.resultLength(result)
	if n == 0 {
		return nil, nil
	}
	return slices.Clone(unsafe.Slice((*byte)(l.resultBuffer(result)), n)), nil
}

// stream is a result that is read block by block.
type stream struct {
	s      *session
	result unsafe.Pointer
	done   bool
}

// query starts a statement whose result is read with next. The caller closes the stream.
func (s *session) query(statement, format string, p params) (*stream, error) {
	names, values := newCstrings(p.names...), newCstrings(p.values...)
	defer names.unpin()
	defer values.unpin()
	q, qLen := text(statement)
	f, fLen := text(format)
	result := s.lib.streamQuery(s.handle(), q, qLen, f, fLen, names.array(), names.sizes(), values.array(), values.sizes(), uintptr(len(p.names)))
	if result == nil {
		return nil, errors.New("the engine returned no result")
	}
	if msg := s.lib.resultError(result); msg != "" {
		s.lib.destroyResult(result)
		return nil, newError(msg)
	}
	return &stream{s: s, result: result}, nil
}

// next returns the next part of the result, nil at its end. An error ends the stream.
func (st *stream) next() ([]byte, error) {
	if st.done {
		return nil, nil
	}
	b, err := st.s.lib.take(st.s.lib.fetch(st.s.handle(), st.result))
	st.done = err != nil || b == nil
	return b, err
}

// close frees the stream, and stops the statement when it has not ended.
func (st *stream) close() {
	if !st.done {
		st.s.lib.cancelQuery(st.s.handle(), st.result)
	}
	st.s.lib.destroyResult(st.result)
}

// Classes of statements (chdb_query_class).
const (
	classReadOnly = 0
	classUnknown  = 4
)

// classify parses the statement with the engine's own parser and returns its class and the number of statements in the text.
func (s *session) classify(statement string) (class, statements uint32, err error) {
	report := &struct{ size, statements, flags, class uint32 }{size: 16}
	q, qLen := text(statement)
	if s.lib.classify(s.handle(), q, qLen, nil, 0, unsafe.Pointer(report)) != 0 {
		return 0, 0, errors.New("the engine did not classify the statement")
	}
	return report.class, report.statements, nil
}

// prepare sets the session's database and settings.
func (s *session) prepare(database string, settings map[string]string) error {
	if database != "" && database != "default" {
		if _, err := s.exec("USE "+quoteName(database), "Null", params{}); err != nil {
			return err
		}
	}
	if len(settings) == 0 {
		return nil
	}
	var b strings.Builder
	for name, value := range settings {
		if b.Len() > 0 {
			b.WriteString(", ")
		}
		if !isSettingName(name) {
			return &Error{Code: codeUnknownSetting, Text: fmt.Sprintf("Code: %d. DB::Exception: Unknown setting '%s'. (UNKNOWN_SETTING)", codeUnknownSetting, name)}
		}
		fmt.Fprintf(&b, "%s = %s", name, quoteString(value))
	}
	_, err := s.exec("SET "+b.String(), "Null", params{})
	return err
}

// isSettingName accepts what a setting of the engine can be called, so that a URL parameter cannot become SQL.
func isSettingName(s string) bool {
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' {
			return false
		}
	}
	return s != ""
}

func quoteName(s string) string {
	return "`" + strings.NewReplacer("\\", "\\\\", "`", "\\`").Replace(s) + "`"
}

func quoteString(s string) string {
	return "'" + strings.NewReplacer("\\", "\\\\", "'", "\\'").Replace(s) + "'"
}
