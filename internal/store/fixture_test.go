package store_test

import (
	"testing"

	"github.com/aftertouch-io/aftertouch/internal/store/storetest"
)

// TestTheFixtureFillsEveryColumn keeps the other tests honest: a column that Insert forgets, or a new one that it does not
// know, holds its default in every row.
func TestTheFixtureFillsEveryColumn(t *testing.T) {
	s := storetest.Open(t)
	storetest.Insert(t, s, storetest.Batch())
	for table := range tables {
		columns := texts(t, s, "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = ?", table)
		if len(columns) == 0 {
			t.Errorf("%s has no columns", table)
		}
		for _, column := range columns {
			if table+"."+column == "identities.from_kind" {
				continue // only visitors are linked to others, and theirs is the first number
			}
			sql := "SELECT toString(count()) FROM " + table + " FINAL WHERE `" + column + "` != defaultValueOfArgumentType(`" + column + "`)"
			if got := texts(t, s, sql); got[0] == "0" {
				t.Errorf("%s.%s holds its default in every row", table, column)
			}
		}
	}
}
