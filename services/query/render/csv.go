package render

import (
	"encoding/csv"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
)

// totalsColumns follow the columns of every report: the lines of the totals fill them, and leave the others empty.
var totalsColumns = []string{"totals_currency", "totals_part", "totals_reason", "totals_conversions", "totals_value_minor"}

// writeCSV writes one rectangle (RFC 4180): the rows, then the totals.
func writeCSV(w io.Writer, s *sheet) error {
	out := csv.NewWriter(w)
	header := make([]string, 0, len(s.columns)+len(totalsColumns))
	for _, c := range s.columns {
		header = append(header, c.name)
	}
	_ = out.Write(append(header, totalsColumns...)) // errors stay until Flush
	for _, row := range s.rows {
		line := make([]string, 0, len(header))
		for i, cell := range row {
			line = append(line, safe(cell, s.columns[i].number))
		}
		_ = out.Write(append(line, make([]string, len(totalsColumns))...))
	}
	for _, line := range totalsLines(s.totals) {
		_ = out.Write(append(make([]string, len(s.columns)), line...))
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return fmt.Errorf("writing a report: %w", err)
	}
	return nil
}

// safe keeps spreadsheets from taking a text for a formula: ids of orders and events come from anybody.
func safe(cell string, number bool) string {
	if number || cell == "" || !strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
		return cell
	}
	return "'" + cell
}

// totalsLines lists, by currency, total, attributed, other, and unattributed and excluded by reason.
func totalsLines(totals map[string]*aftertouchv1.Totals) (lines [][]string) {
	for _, currency := range slices.Sorted(maps.Keys(totals)) {
		t := totals[currency]
		add := func(part, reason string, a *aftertouchv1.Amount) {
			lines = append(lines, []string{currency, part, reason, a.GetConversions(), strconv.FormatInt(a.GetValueMinor(), 10)})
		}
		add("total", "", t.GetTotal())
		add("attributed", "", t.GetAttributed())
		add("other", "", t.GetOther())
		for _, reason := range slices.Sorted(maps.Keys(t.GetUnattributed())) {
			add("unattributed", reason, t.GetUnattributed()[reason])
		}
		for _, reason := range slices.Sorted(maps.Keys(t.GetExcluded())) {
			add("excluded", reason, t.GetExcluded()[reason])
		}
	}
	return lines
}
