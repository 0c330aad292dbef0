package chdb

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"github.com/ebitengine/purego"
)

// library is libchdb.so's C interface (chdb.h of chDB 26.7.3). Pointers to handles are opaque.
type library struct {
	setSignalHandlers func(enabled int32)
	connect           func(argc int32, argv unsafe.Pointer) unsafe.Pointer
	closeConn         func(conn unsafe.Pointer)

	query       func(conn unsafe.Pointer, q unsafe.Pointer, qLen uintptr, f unsafe.Pointer, fLen uintptr, names, nameLens, values, valueLens unsafe.Pointer, n uintptr) unsafe.Pointer
	streamQuery func(conn unsafe.Pointer, q unsafe.Pointer, qLen uintptr, f unsafe.Pointer, fLen uintptr, names, nameLens, values, valueLens unsafe.Pointer, n uintptr) unsafe.Pointer
	fetch       func(conn, stream unsafe.Pointer) unsafe.Pointer
	cancelQuery func(conn, stream unsafe.Pointer)
	classify    func(conn unsafe.Pointer, q unsafe.Pointer, qLen uintptr, db unsafe.Pointer, dbLen uintptr, out unsafe.Pointer) int32

	streamInsert  func(conn unsafe.Pointer, q unsafe.Pointer, qLen uintptr, f unsafe.Pointer, fLen uintptr, names, nameLens, values, valueLens unsafe.Pointer, n uintptr) unsafe.Pointer
	insertAppend  func(stream, data unsafe.Pointer, n uintptr) int32
	insertDone    func(stream unsafe.Pointer) unsafe.Pointer
	insertCancel  func(stream unsafe.Pointer)
	insertError   func(stream unsafe.Pointer) string
	destroyInsert func(stream unsafe.Pointer)

	resultBuffer  func(result unsafe.Pointer) unsafe.Pointer
	resultLength  func(result unsafe.Pointer) uintptr
	resultError   func(result unsafe.Pointer) string
	destroyResult func(result unsafe.Pointer)
}

// load opens the library at path and looks up every function that the package uses.
func load(path string) (lib *library, err error) {
	handle, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, fmt.Errorf("loading engine library %s: %w", path, err)
	}
	lib = &library{}
	for name, fn := range map[string]any{
		"chdb_set_signal_handlers_enabled": &lib.setSignalHandlers,
		"chdb_connect":                     &lib.connect,
		"chdb_close_conn":                  &lib.closeConn,
		"chdb_query_with_params_n":         &lib.query,
		"chdb_stream_query_with_params_n":  &lib.streamQuery,
		"chdb_stream_fetch_result":         &lib.fetch,
		"chdb_stream_cancel_query":         &lib.cancelQuery,
		"chdb_classify_query_n":            &lib.classify,
		"chdb_stream_insert_with_params_n": &lib.streamInsert,
		"chdb_stream_append":               &lib.insertAppend,
		"chdb_stream_done":                 &lib.insertDone,
		"chdb_stream_cancel_insert":        &lib.insertCancel,
		"chdb_stream_insert_error":         &lib.insertError,
		"chdb_destroy_insert_stream":       &lib.destroyInsert,
		"chdb_result_buffer":               &lib.resultBuffer,
		"chdb_result_length":               &lib.resultLength,
		"chdb_result_error":                &lib.resultError,
		"chdb_destroy_query_result":        &lib.destroyResult,
	} {
		symbol, err := purego.Dlsym(handle, name)
		if err != nil {
			return nil, fmt.Errorf("loading engine library %s: it lacks %s, another version than %s: %w", path, name, Version, err)
		}
		purego.RegisterFunc(fn, symbol)
	}
	return lib, nil
}

// setTimeZone makes the engine live in UTC. It takes its time zone from the C library's TZ when it starts, else from the machine, and no
// setting of its own changes that. The Go side of the process, and its children, have an environment of their own and keep theirs.
func setTimeZone() error {
	symbol, err := purego.Dlsym(purego.RTLD_DEFAULT, "setenv")
	if err != nil {
		return fmt.Errorf("setting the engine's time zone: %w", err)
	}
	var setenv func(name, value string, overwrite int32) int32
	purego.RegisterFunc(&setenv, symbol)
	if setenv("TZ", "UTC", 1) != 0 {
		return errors.New("setting the engine's time zone: setenv failed")
	}
	return nil
}

// cstrings is an array of byte strings laid out for C: pointers and lengths. The strings also end in a zero byte.
type cstrings struct {
	pointers []unsafe.Pointer
	lengths  []uintptr
	pinner   runtime.Pinner
}

// newCstrings copies the strings. The caller unpins after the C call.
func newCstrings(values ...string) *cstrings {
	c := &cstrings{pointers: make([]unsafe.Pointer, len(values)+1), lengths: make([]uintptr, len(values)+1)}
	for i, v := range values {
		b := append([]byte(v), 0)
		c.pinner.Pin(&b[0])
		c.pointers[i], c.lengths[i] = unsafe.Pointer(&b[0]), uintptr(len(v))
	}
	c.pinner.Pin(&c.pointers[0])
	c.pinner.Pin(&c.lengths[0])
	return c
}

func (c *cstrings) unpin() { c.pinner.Unpin() }

func (c *cstrings) array() unsafe.Pointer { return unsafe.Pointer(&c.pointers[0]) }

func (c *cstrings) sizes() unsafe.Pointer { return unsafe.Pointer(&c.lengths[0]) }

// text returns the pointer and length of a Go string for a call that only reads it.
func text(s string) (unsafe.Pointer, uintptr) {
	return unsafe.Pointer(unsafe.StringData(s)), uintptr(len(s))
}
