package chdb

import (
	"regexp"
	"strconv"
)

// Codes of the engine's errors that the endpoint itself answers with.
const (
	codeNotImplemented = 48
	codeSyntaxError    = 62
	codeUnknownSetting = 115
	codeAuthFailed     = 516
	codeCancelled      = 394
	codeBadBody        = 33 // CANNOT_READ_ALL_DATA
	codeLogicalError   = 49
	codeTooManyQueries = 202
)

// Error is an error of the engine: its number and its own text, which starts with "Code: ".
type Error struct {
	Code int
	Text string
}

func (e *Error) Error() string { return e.Text }

var errorCode = regexp.MustCompile(`^\s*Code: (\d+)\.`)

// newError reads the number out of the engine's text; a text without one is a logical error (49).
func newError(text string) *Error {
	if m := errorCode.FindStringSubmatch(text); m != nil {
		if code, err := strconv.Atoi(m[1]); err == nil && code > 0 {
			return &Error{Code: code, Text: text}
		}
	}
	return &Error{Code: codeLogicalError, Text: "Code: 49. DB::Exception: " + text + " (LOGICAL_ERROR)"}
}

var codeNames = map[int]string{
	codeNotImplemented: "NOT_IMPLEMENTED",
	codeSyntaxError:    "SYNTAX_ERROR",
	codeAuthFailed:     "AUTHENTICATION_FAILED",
	codeCancelled:      "QUERY_WAS_CANCELLED",
	codeBadBody:        "CANNOT_READ_ALL_DATA",
	codeTooManyQueries: "TOO_MANY_SIMULTANEOUS_QUERIES",
}
