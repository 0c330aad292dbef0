package chdb

import (
	"strings"
	"testing"
)

func TestAnInsertIsToldFromItsData(t *testing.T) {
	for _, c := range []struct{ text, statement, format, data string }{
		{"INSERT INTO t FORMAT Native", "INSERT INTO t ", "Native", ""},
		{"INSERT INTO t FORMAT Native;", "INSERT INTO t ", "Native", ""},
		{"INSERT INTO t FORMAT Native ; \n", "INSERT INTO t ", "Native", ""},
		{"insert into t (a, b) values (1, 2)", "insert into t (a, b) ", "Values", "(1, 2)"},
		{"INSERT INTO t VALUES", "INSERT INTO t ", "Values", ""},
		{"INSERT INTO t VALUES\n\n(1)", "INSERT INTO t ", "Values", "(1)"},
		{"INSERT INTO t FORMAT CSV\n1,2\n\n3,4", "INSERT INTO t ", "CSV", "1,2\n\n3,4"},
		{"INSERT INTO t FORMAT CSV\r\n1", "INSERT INTO t ", "CSV", "1"},
		{"INSERT INTO t FORMAT CSV ;1", "INSERT INTO t ", "CSV", ";1"},
		{"INSERT INTO t FORMAT CSV\n\nx", "INSERT INTO t ", "CSV", "\nx"},
		{"INSERT INTO t (a) SETTINGS x = 'format y' FORMAT TSV\n1", "INSERT INTO t (a) SETTINGS x = 'format y' ", "TSV", "1"},
		{"INSERT INTO db.values VALUES (1)", "INSERT INTO db.values ", "Values", "(1)"},
		{"INSERT INTO values VALUES (1)", "INSERT INTO values ", "Values", "(1)"},
		{"INSERT INTO TABLE format FORMAT TSV\n1", "INSERT INTO TABLE format ", "TSV", "1"},
		{"INSERT INTO `a values` (`format x`) VALUES (1)", "INSERT INTO `a values` (`format x`) ", "Values", "(1)"},
		{"INSERT INTO t (`a\\`b`, \"c\"\"d\") VALUES (1)", "INSERT INTO t (`a\\`b`, \"c\"\"d\") ", "Values", "(1)"},
		{"/* VALUES */ -- FORMAT\nINSERT INTO t VALUES (1)", "/* VALUES */ -- FORMAT\nINSERT INTO t ", "Values", "(1)"},
		{"INSERT INTO FUNCTION file('x', 'CSV', 'a UInt8') VALUES (1)", "INSERT INTO FUNCTION file('x', 'CSV', 'a UInt8') ", "Values", "(1)"},
	} {
		statement, format, data, ok := splitInsert(c.text)
		if !ok || statement != c.statement || format != c.format || data != c.data {
			t.Errorf("splitInsert(%q) = %q, %q, %q, %t; want %q, %q, %q", c.text, statement, format, data, ok, c.statement, c.format, c.data)
		}
	}
}

func TestOtherStatementsCarryNoData(t *testing.T) {
	for _, text := range []string{
		"", "   ", "SELECT 1", "INSERT", "INSERT INTO t", "INSERT INTO t SELECT 1 FORMAT CSV", "INSERT INTO t (a) SELECT 'x' AS values",
		"INSERT INTO t WITH x AS (SELECT 1) SELECT * FROM x", "INSERT INTO t FROM INFILE 'x' FORMAT CSV", "EXPLAIN INSERT INTO t VALUES (1)",
		"INSERT INTO t 'not closed VALUES (1)", "INSERT INTO t (a VALUES (1)", "/* INSERT INTO t VALUES (1)", "-- INSERT INTO t VALUES (1)", "INSERT INTO t FORMAT",
	} {
		if statement, format, data, ok := splitInsert(text); ok {
			t.Errorf("splitInsert(%q) = %q, %q, %q", text, statement, format, data)
		}
	}
}

func FuzzSplitInsertKeepsEveryByte(f *testing.F) {
	for _, s := range []string{"INSERT INTO t VALUES (1)", "insert into `t` format CSV\n1;2", "INSERT INTO t -- c\nFORMAT x ;", "INSERT/**/INTO(('", "SELECT 'x'"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		statement, format, data, ok := splitInsert(text)
		if ok && (!strings.HasPrefix(text, statement) || format == "" || data != "" && !strings.HasSuffix(text, data)) {
			t.Errorf("splitInsert(%q) = %q, %q, %q", text, statement, format, data)
		}
	})
}

func TestQuotingKeepsNamesAndValuesData(t *testing.T) {
	for s, want := range map[string]string{"a": "'a'", `it's`: `'it\'s'`, `\`: `'\\'`, "": "''"} {
		if got := quoteString(s); got != want {
			t.Errorf("quoteString(%q) = %s, want %s", s, got, want)
		}
	}
	if got, want := quoteName("a`b\\"), "`a\\`b\\\\`"; got != want {
		t.Errorf("quoteName = %s, want %s", got, want)
	}
}

func TestEngineTextBecomesAnErrorWithItsNumber(t *testing.T) {
	for text, code := range map[string]int{
		"Code: 60. DB::Exception: Table x. (UNKNOWN_TABLE)": 60,
		"no number": codeLogicalError,
		"Code: x":   codeLogicalError,
		"":          codeLogicalError,
	} {
		if err := newError(text); err.Code != code || !strings.HasPrefix(err.Text, "Code: ") {
			t.Errorf("newError(%q) = %d, %q; want %d", text, err.Code, err.Text, code)
		}
	}
}
