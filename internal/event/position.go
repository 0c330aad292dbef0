package event

import "cmp"

// Position is a place in the log. Positions of one partition are ordered by epoch, then offset.
type Position struct {
	Epoch     uint16
	Partition int32
	Offset    int64
}

// After reports whether p is later than q in one partition's log.
func (p Position) After(q Position) bool {
	if p.Epoch != q.Epoch {
		return p.Epoch > q.Epoch
	}
	return p.Offset > q.Offset
}

// Rank orders events everywhere (A5): time, received time, event id.
type Rank struct {
	Time         int64
	ReceivedTime int64
	EventID      string
}

// Compare returns -1, 0 or 1.
func (r Rank) Compare(p Rank) int {
	return cmp.Or(cmp.Compare(r.Time, p.Time), cmp.Compare(r.ReceivedTime, p.ReceivedTime), cmp.Compare(r.EventID, p.EventID))
}
