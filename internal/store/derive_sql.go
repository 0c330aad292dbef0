package store

import (
	"embed"
	"fmt"
	"strconv"
	"strings"
	"text/template"
)

//go:embed derive/*.sql
var deriveFiles embed.FS

// deriveSQL holds the statements of derive/, by file name.
var deriveSQL = template.Must(template.ParseFS(deriveFiles, "derive/*.sql"))

// statementArgs are what the statements of derive/ may name. Values of callers are never among them: those are parameters
// that the engine binds.
type statementArgs struct {
	Workspace        bool
	FromHour, ToHour int64
	Edges            []int64
	// Where is a condition, Rows a statement.
	Where, Rows, Range string
	Version            uint64
	LogDay             uint16
	Hours, Days        string
	Touches            bool
	// From and To are Unix ms; To is 0 for no bounds.
	From, To int64
}

// statement returns a statement of derive/ without its comments.
func statement(name string, args statementArgs) string {
	var b strings.Builder
	if err := deriveSQL.ExecuteTemplate(&b, name, args); err != nil {
		panic(fmt.Sprintf("BUG: statement %s: %v", name, err))
	}
	lines := strings.Split(b.String(), "\n")
	kept := lines[:0]
	for _, line := range lines {
		if trimmed := strings.TrimSpace(line); trimmed != "" && !strings.HasPrefix(trimmed, "--") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "\n")
}

// integers writes a list for IN.
func integers[T ~int64 | ~uint16 | ~uint32](list []T) string {
	parts := make([]string, len(list))
	for i, v := range list {
		parts[i] = strconv.FormatInt(int64(v), 10)
	}
	return strings.Join(parts, ", ")
}
