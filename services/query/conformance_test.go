package query_test

import (
	"net/http"
	"os"
	"testing"

	"github.com/aftertouch-io/aftertouch/internal/store/storetest"
)

// TestEveryStatementRuns is this package's part of the conformance suite: on the embedded engine, or on the server that
// AFTERTOUCH_TEST_CLICKHOUSE_DSN names, every statement of the reports and of the derived tables is explained and run.
func TestEveryStatementRuns(t *testing.T) {
	w := campaignWorld(t)
	// A chain of links that is longer than two, which is followed apart.
	for _, link := range [][2]string{{"v:p", "v:q"}, {"v:q", "v:r"}, {"v:r", "u:s"}} {
		w.link(link[0], link[1])
	}
	w.touch(touch{entity: "v:p", kind: "click", at: daysAgo(8), creator: "ann"})
	w.insert()
	recorder, ok := w.store.Conn().(*storetest.Recorder)
	if !ok {
		t.Fatal("the store's statements are not recorded")
	}
	paths := []string{
		"performance", "performance?by=day,link&basis=touch", "performance?from=2026-04-24T11:59:59.5Z&to=2026-04-24T12:00:00.001Z",
		"performance?campaign=spring&creator=ann&action=purchase&model=linear", "exposure?by=campaign,creator", "exposure?creator=ann&within=12h",
		"conversions", "conversions?creator=bob&limit=1", "receipt?order_id=1", "receipt?event_id=event-of-1", "health",
	}
	for _, derived := range []bool{false, true} {
		if derived {
			w.derive()
		}
		for _, path := range paths {
			if code, _, body := w.get(adminKey, "/v1/reports/"+path); code != http.StatusOK {
				t.Errorf("derived %v: %s: %d %s", derived, path, code, body)
			}
		}
	}
	recorder.Covers(t, os.DirFS("."), "sql")
	recorder.Covers(t, os.DirFS("../../internal/store"), "derive")
}
