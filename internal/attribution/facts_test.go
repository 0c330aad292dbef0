package attribution

import (
	"testing"

	"github.com/aftertouch-io/aftertouch/internal/event"
)

// TestFactsSayWhetherUnmeasuredImpressionsCount reads the version that is stamped: view counts them in its first one only.
func TestFactsSayWhetherUnmeasuredImpressionsCount(t *testing.T) {
	core, err := NewPartition(newMemStore(), simTerms(), Default())
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range []struct {
		line string
		want bool
	}{
		{"impression v1 -1h view=unmeasured terms=view@1", true},
		{"impression v1 -2h view=viewable terms=view@1", true},
		{"impression v1 -3h view=unmeasured terms=view@2", false},
		{"impression v1 -4h view=unmeasured terms=standard@1", false},
		{"impression v1 -5h view=unmeasured terms=view@0", false},
		{"impression v1 -6h view=unmeasured terms=none", false},
		{"click v1 -7h terms=view@1", false},
	} {
		e := scriptEvents(t, c.line, i)[0]
		value, err := event.EncodeEvent(e.event)
		if err != nil {
			t.Fatal(err)
		}
		var rec event.Record
		if err := event.Decode([]byte(e.to.Key()), value, &rec); err != nil {
			t.Fatal(err)
		}
		rec.Position, rec.Timestamp = event.Position{Epoch: 1, Offset: int64(i)}, scriptNow
		var out Effects
		if err := core.Apply(&rec, &out); err != nil {
			t.Fatal(err)
		}
		if len(out.Facts) != 1 || out.Facts[0].CountUnmeasured != c.want {
			t.Errorf("%s: %d facts, counts unmeasured is %v, want %v", c.line, len(out.Facts), len(out.Facts) == 1 && out.Facts[0].CountUnmeasured, c.want)
		}
	}
}
