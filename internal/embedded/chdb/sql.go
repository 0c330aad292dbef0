package chdb

import "strings"

// splitInsert tells an INSERT that carries data from its data: for "INSERT INTO t (a) FORMAT CSV\n1" it returns "INSERT INTO t (a)", "CSV"
// and "1". ok is false for every other statement, INSERT ... SELECT included.
//
// The engine must not be given inline data: its own splitter ends the data at the first blank line and drops or misreads what follows.
func splitInsert(text string) (statement, format, data string, ok bool) {
	s := scanner{text: text}
	if !strings.EqualFold(s.word(), "insert") {
		return "", "", "", false
	}
	previous := ""
	for {
		word := strings.ToLower(s.word())
		if word == "" {
			return "", "", "", false
		}
		// A table may be called "values".
		named := s.qualified || !s.afterQuoted && (previous == "into" || previous == "table")
		previous = word
		switch {
		case named:
		case word == "values":
			return text[:s.start], "Values", strings.TrimLeft(text[s.pos:], " \t\r\n"), true
		case word == "format":
			statement = text[:s.start]
			if format = s.word(); format == "" {
				return "", "", "", false
			}
			return statement, format, trimLine(text[s.pos:]), true
		case word == "select", word == "with", word == "infile", word == "watch":
			return "", "", "", false
		}
	}
}

// trimLine removes what separates FORMAT's name from the data: blanks, an optional semicolon and one line end.
func trimLine(s string) string {
	s = strings.TrimLeft(s, " \t")
	if rest, ok := strings.CutPrefix(s, ";"); ok && strings.TrimLeft(rest, " \t\r\n") == "" {
		return ""
	}
	s = strings.TrimPrefix(s, "\r")
	return strings.TrimPrefix(s, "\n")
}

// scanner finds the words of a statement that stand outside quotes, comments and parentheses.
type scanner struct {
	text       string
	pos, start int // the last word is text[start:pos]
	// The last word followed a dot; a quoted name stands between it and the word before.
	qualified, afterQuoted bool
}

// word returns the next word, "" at the end of the text or in what is not closed.
func (s *scanner) word() string {
	depth := 0
	s.qualified, s.afterQuoted = false, false
	for s.pos < len(s.text) {
		c := s.text[s.pos]
		switch {
		case strings.HasPrefix(s.text[s.pos:], "--"), c == '#':
			s.skipPast("\n")
		case strings.HasPrefix(s.text[s.pos:], "/*"):
			s.skipPast("*/")
		case c == '\'' || c == '"' || c == '`':
			s.quoted(c)
			s.qualified, s.afterQuoted = false, s.afterQuoted || depth == 0
		case c == '(':
			depth++
			s.pos++
		case c == ')':
			depth--
			s.pos++
		case isWord(c):
			s.start = s.pos
			for s.pos < len(s.text) && isWord(s.text[s.pos]) {
				s.pos++
			}
			if depth == 0 {
				return s.text[s.start:s.pos]
			}
		default:
			s.qualified = c == '.' || s.qualified && isSpace(c)
			s.pos++
		}
	}
	return ""
}

func (s *scanner) skipPast(mark string) {
	i := strings.Index(s.text[s.pos:], mark)
	if i < 0 {
		s.pos = len(s.text)
		return
	}
	s.pos += i + len(mark)
}

// quoted passes a string or a quoted name; a backslash escapes, and a doubled quote reads as two quoted parts side by side.
func (s *scanner) quoted(quote byte) {
	for s.pos++; s.pos < len(s.text); s.pos++ {
		switch s.text[s.pos] {
		case '\\':
			s.pos++
		case quote:
			s.pos++
			return
		}
	}
	s.pos = len(s.text)
}

func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c >= 0x80
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }
