package store

import (
	"errors"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// ErrPermanent reports rows or a statement that the engine refuses for good: trying again cannot help. Content of events
// cannot cause it, because the attributor checks every value's range before.
var ErrPermanent = errors.New("refused for good")

// permanentCodes are the engine's errors that say that the rows or the schema are wrong. Everything else, a lost
// connection first of all, is worth another try: the rows' identities make repeating harmless.
var permanentCodes = map[int32]string{
	6:   "CANNOT_PARSE_TEXT",
	7:   "INCORRECT_NUMBER_OF_COLUMNS",
	8:   "THERE_IS_NO_COLUMN",
	9:   "SIZES_OF_COLUMNS_DOESNT_MATCH",
	10:  "NOT_FOUND_COLUMN_IN_BLOCK",
	16:  "NO_SUCH_COLUMN_IN_TABLE",
	27:  "CANNOT_PARSE_INPUT_ASSERTION_FAILED",
	36:  "BAD_ARGUMENTS",
	38:  "CANNOT_PARSE_DATE",
	41:  "CANNOT_PARSE_DATETIME",
	43:  "ILLEGAL_TYPE_OF_ARGUMENT",
	44:  "ILLEGAL_COLUMN",
	47:  "UNKNOWN_IDENTIFIER",
	48:  "NOT_IMPLEMENTED",
	50:  "UNKNOWN_TYPE",
	53:  "TYPE_MISMATCH",
	62:  "SYNTAX_ERROR",
	70:  "CANNOT_CONVERT_TYPE",
	72:  "CANNOT_PARSE_NUMBER",
	115: "UNKNOWN_SETTING",
	117: "INCORRECT_DATA",
	122: "INCOMPATIBLE_COLUMNS",
	131: "TOO_LARGE_STRING_SIZE",
	190: "SIZES_OF_ARRAYS_DONT_MATCH",
	321: "VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE",
	407: "DECIMAL_OVERFLOW",
	469: "VIOLATED_CONSTRAINT",
	691: "UNKNOWN_ELEMENT_OF_ENUM",
}

// Permanent reports whether trying again cannot help.
func Permanent(err error) bool {
	if errors.Is(err, ErrPermanent) {
		return true
	}
	var exception *clickhouse.Exception
	if !errors.As(err, &exception) {
		return false
	}
	_, ok := permanentCodes[exception.Code]
	return ok
}

// isException reports whether the engine answered with that code.
func isException(err error, code int32) bool {
	var exception *clickhouse.Exception
	return errors.As(err, &exception) && exception.Code == code
}
