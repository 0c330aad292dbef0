package storetest_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/aftertouch-io/aftertouch/internal/attribution"
	"github.com/aftertouch-io/aftertouch/internal/store/storetest"
)

// views are the readings that docs/sql.md shows.
var views = []storetest.Statement{
	{Name: "v_conversions", SQL: "SELECT * FROM v_conversions ORDER BY time", Rows: 3},
	{Name: "v_credits", SQL: "SELECT * FROM v_credits ORDER BY time, model", Rows: 10},
	{Name: "v_touches", SQL: "SELECT * FROM v_touches ORDER BY time", Rows: 4},
	{Name: "v_exposure", SQL: "SELECT * FROM v_exposure ORDER BY time", Rows: 3},
	{Name: "v_journeys", SQL: "SELECT * FROM v_journeys ORDER BY touch_time", Rows: 4},
	{Name: "v_identities", SQL: "SELECT * FROM v_identities", Rows: 2},
	{Name: "tables facts", SQL: "SELECT * FROM facts FINAL", Rows: 8},
	{Name: "tables fact_changes", SQL: "SELECT * FROM fact_changes FINAL"},
	{Name: "tables journeys", SQL: "SELECT * FROM journeys FINAL", Rows: 3},
	{Name: "tables journey_changes", SQL: "SELECT * FROM journey_changes FINAL", Rows: 3},
	{Name: "tables identities", SQL: "SELECT * FROM identities FINAL", Rows: 2},
	{Name: "tables refusals", SQL: "SELECT * FROM refusals FINAL", Rows: 1},
	{Name: "tables dirty_hours", SQL: "SELECT * FROM dirty_hours FINAL", Rows: 6},
	{Name: "tables progress", SQL: "SELECT * FROM progress FINAL", Rows: 1},
}

func TestViewsConform(t *testing.T) {
	s := storetest.Open(t)
	storetest.Insert(t, s, storetest.Batch())
	storetest.Run(t, s, views...)
}

// TestTheExamplesOfTheDocumentation runs every statement of docs/sql.md.
func TestTheExamplesOfTheDocumentation(t *testing.T) {
	page, err := os.ReadFile("../../../docs/sql.md")
	if err != nil {
		t.Fatal(err)
	}
	var statements []storetest.Statement
	for block := range strings.SplitSeq(string(page), "```sql\n") {
		sql, _, ok := strings.Cut(block, ";\n```")
		if ok && !strings.HasPrefix(block, "#") {
			statements = append(statements, storetest.Statement{Name: fmt.Sprintf("example %d", len(statements)+1), SQL: sql, Rows: 1})
		}
	}
	if len(statements) < 6 {
		t.Fatalf("found %d examples", len(statements))
	}
	s := storetest.Open(t)
	storetest.Insert(t, s, storetest.Batch())
	// The examples are about March 2026, when the fixture happens; its only click is a robot's.
	b := storetest.Batch()
	b.Effects = &attribution.Effects{Facts: []attribution.Fact{storetest.Touch("click-1", 0)}}
	storetest.Insert(t, s, b)
	storetest.Run(t, s, statements...)
}
