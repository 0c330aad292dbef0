package render

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// writeTable writes the report for a terminal.
func writeTable(w io.Writer, s *sheet) error {
	var b strings.Builder
	writeSheet(&b, s)
	for _, part := range s.parts {
		b.WriteByte('\n')
		writeSheet(&b, part)
	}
	if lines := totalsLines(s.totals); len(lines) > 0 {
		b.WriteString("\ntotals: total = attributed + other + unattributed + excluded\n")
		t := newTable()
		t.AppendHeader(table.Row{"currency", "part", "reason", "conversions", "value_minor"})
		for _, line := range lines {
			t.AppendRow(cells(line))
		}
		t.SetColumnConfigs([]table.ColumnConfig{{Number: 4, Align: text.AlignRight}, {Number: 5, Align: text.AlignRight}})
		b.WriteString(t.Render() + "\n")
	}
	for _, note := range s.notes {
		b.WriteString(note + "\n")
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("writing a report: %w", err)
	}
	return nil
}

func newTable() table.Writer {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.Style().Format.Header = text.FormatDefault
	return t
}

func writeSheet(b *strings.Builder, s *sheet) {
	b.WriteString(s.title + "\n")
	var shown []int
	for i, c := range s.columns {
		if !c.detail {
			shown = append(shown, i)
		}
	}
	t := newTable()
	header := make(table.Row, 0, len(shown))
	var configs []table.ColumnConfig
	for _, i := range shown {
		header = append(header, s.columns[i].name)
		if s.columns[i].number {
			configs = append(configs, table.ColumnConfig{Number: len(header), Align: text.AlignRight})
		}
	}
	t.AppendHeader(header)
	t.SetColumnConfigs(configs)
	for _, row := range s.rows {
		line := make([]string, 0, len(shown))
		for _, i := range shown {
			line = append(line, row[i])
		}
		t.AppendRow(cells(line))
	}
	b.WriteString(t.Render() + "\n")
}

// cells keeps control characters out of the terminal: ids of orders and events come from anybody.
func cells(line []string) table.Row {
	row := make(table.Row, len(line))
	for i, cell := range line {
		if strings.ContainsFunc(cell, isControl) {
			cell = string(slices.DeleteFunc([]rune(cell), isControl))
		}
		row[i] = cell
	}
	return row
}

func isControl(r rune) bool { return r < 0x20 || r >= 0x7f && r < 0xa0 }
