package attribution

import (
	"testing"

	"github.com/aftertouch-io/aftertouch/internal/event"
)

// FuzzContentCannotFail applies records of any content to one log: whatever decodes must apply, survive a restart, and
// apply again.
func FuzzContentCannotFail(f *testing.F) {
	s := newSimulation(f, 1, &simLog{make([][]logRecord, 1)}, simTerms())
	s.run(simEvents(4))
	for i, r := range s.log.partitions[0] {
		if i%7 == 0 {
			f.Add(string(r.key), r.value, r.timestamp)
		}
	}
	f.Add("shop/v:~c/x", []byte{0x1a, 0}, int64(0))
	f.Fuzz(func(t *testing.T, key string, value []byte, timestamp int64) {
		var rec event.Record
		if event.Decode([]byte(key), value, &rec) != nil {
			return
		}
		store := newMemStore()
		var out Effects
		for i := range 3 {
			core, err := NewPartition(store, simTerms(), Config{})
			if err != nil {
				t.Fatal(err)
			}
			for j := range 2 {
				rec.Position, rec.Timestamp = event.Position{Epoch: 1, Offset: int64(2*i + j)}, timestamp
				if err := core.Apply(&rec, &out); err != nil {
					t.Fatal(err)
				}
			}
			if err := core.Commit(store); err != nil {
				t.Fatal(err)
			}
		}
	})
}
