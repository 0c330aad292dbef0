// Package render writes reports for people and spreadsheets: as a table, CSV or JSON.
package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/apijson"
	"google.golang.org/protobuf/proto"
)

// Formats of Write.
const (
	Table = "table"
	CSV   = "csv"
	JSON  = "json"
)

// Write writes the answer of one of the QueryService's methods. It fails for an unknown format or message, and when w does.
func Write(w io.Writer, answer proto.Message, format string) error {
	if format == JSON {
		return writeJSON(w, answer)
	}
	s, err := sheetOf(answer)
	if err != nil {
		return err
	}
	switch format {
	case Table:
		return writeTable(w, s)
	case CSV:
		return writeCSV(w, s)
	default:
		return fmt.Errorf("writing a report: unknown format %q; use table, csv or json", format)
	}
}

func writeJSON(w io.Writer, answer proto.Message) error {
	data, err := apijson.Marshal(answer)
	if err != nil {
		return err
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, data, "", "  "); err != nil {
		return fmt.Errorf("writing a report: %w", err)
	}
	indented.WriteByte('\n')
	if _, err := w.Write(indented.Bytes()); err != nil {
		return fmt.Errorf("writing a report: %w", err)
	}
	return nil
}

// sheet is a report as columns and rows of text.
type sheet struct {
	title   string
	columns []column
	rows    [][]string
	totals  map[string]*aftertouchv1.Totals
	// notes follow a table; parts are further tables, which CSV leaves out.
	notes []string
	parts []*sheet
}

// column is one column of a sheet.
type column struct {
	name string
	// number columns are aligned to the right.
	number bool
	// detail columns are left out of tables, which must fit a terminal.
	detail bool
}

func sheetOf(answer proto.Message) (*sheet, error) {
	switch m := answer.(type) {
	case *aftertouchv1.PerformanceResponse:
		return performanceSheet(m), nil
	case *aftertouchv1.ExposureResponse:
		return exposureSheet(m), nil
	case *aftertouchv1.ConversionsResponse:
		return conversionsSheet(m), nil
	case *aftertouchv1.ReceiptResponse:
		return receiptSheet(m), nil
	case *aftertouchv1.HealthResponse:
		return healthSheet(m), nil
	default:
		return nil, fmt.Errorf("writing a report: %T is none", answer)
	}
}
