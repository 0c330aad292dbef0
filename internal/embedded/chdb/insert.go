package chdb

import (
	"errors"
	"io"
	"unsafe"
)

// insertChunk is how much of a body is handed to the engine at a time, in bytes.
const insertChunk = 1 << 20

// insert streams body, encoded in format, into the statement, an INSERT without FORMAT and data. It returns nil only when the engine has
// committed all of it. When the body breaks off nothing that the engine had not yet flushed as a block is kept.
func (s *session) insert(statement, format string, p params, body io.Reader) error {
	names, values := newCstrings(p.names...), newCstrings(p.values...)
	defer names.unpin()
	defer values.unpin()
	q, qLen := text(statement)
	f, fLen := text(format)
	st := s.lib.streamInsert(s.handle(), q, qLen, f, fLen, names.array(), names.sizes(), values.array(), values.sizes(), uintptr(len(p.names)))
	if st == nil {
		return errors.New("the engine opened no insert")
	}
	defer s.lib.destroyInsert(st)
	if msg := s.lib.insertError(st); msg != "" {
		return newError(msg)
	}
	if err := s.feed(st, body); err != nil {
		s.lib.insertCancel(st)
		return err
	}
	_, err := s.lib.take(s.lib.insertDone(st))
	return err
}

// feed appends the body to an open insert. Only io.EOF ends it well: a body that broke off says io.ErrUnexpectedEOF, and to commit what came
// before would be to keep a part of what the client sent.
func (s *session) feed(st unsafe.Pointer, body io.Reader) error {
	buf := make([]byte, insertChunk)
	for {
		n, err := fill(body, buf)
		if n > 0 && s.lib.insertAppend(st, unsafe.Pointer(&buf[0]), uintptr(n)) != 0 {
			if msg := s.lib.insertError(st); msg != "" {
				return newError(msg)
			}
			return errors.New("the engine refused a part of the insert")
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return &bodyError{err}
		}
	}
}

// fill reads until buf is full or r fails, and returns r's own error. (io.ReadFull would turn a clean end into io.ErrUnexpectedEOF.)
func fill(r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var m int
		m, err = r.Read(buf[n:])
		n += m
	}
	return n, err
}

// bodyError is a failure of the client's side: its body could not be read to the end.
type bodyError struct{ err error }

func (e *bodyError) Error() string { return "reading the request's body: " + e.err.Error() }

func (e *bodyError) Unwrap() error { return e.err }
