package store

import (
	"github.com/aftertouch-io/aftertouch/internal/attribution"
	"github.com/aftertouch-io/aftertouch/internal/event"
)

// Version is a row's version as an unsigned 128-bit number: of rows with one identity the highest is read.
type Version struct{ High, Low uint64 }

// Compare returns -1, 0 or 1.
func (v Version) Compare(w Version) int {
	switch {
	case v == w:
		return 0
	case v.High < w.High || v.High == w.High && v.Low < w.Low:
		return -1
	default:
		return 1
	}
}

// Widths of a version's parts.
const (
	low48 = 1<<48 - 1
)

// FactVersion is the version of a fact: (2^48-1 - received time ms: 48 bits, inverted first 16 bits of the payload's SHA-256,
// epoch: 16, offset that last changed the row: 48). So the record received first wins, among those the one with the
// smallest hash, and among versions of one record the newest.
func FactVersion(f *attribution.Fact) Version {
	received := uint64(low48 - f.ReceivedTime&low48)
	hash := uint64(^uint16(f.PayloadHash >> 48))
	return Version{
		High: received<<16 | hash,
		Low:  uint64(f.Cause.Epoch)<<48 | uint64(f.ChangedOffset)&low48,
	}
}

// JourneyVersion is the version of a journey: (epoch: 16 bits, offset in the order's partition that last changed the
// canonical conversion: 48, offset of the causing record in the person's partition: 48, rules version: 16). So a newer
// canonical conversion wins, whoever the person is, and for one conversion the newest state of its person. The epoch is the
// cause's; a canonical conversion of an earlier epoch is older than everything in this one, so its offset counts as 0.
func JourneyVersion(j *attribution.Journey) Version {
	var order uint64
	if j.OrderPosition.Epoch == j.Position.Epoch {
		order = uint64(j.OrderPosition.Offset) & low48
	}
	cause := uint64(j.Position.Offset) & low48
	return Version{
		High: uint64(j.Position.Epoch)<<48 | order,
		Low:  cause<<16 | attribution.RulesVersion,
	}
}

// positionVersion is a version that prefers later positions of one partition.
func positionVersion(p event.Position) uint64 {
	return uint64(p.Epoch)<<48 | uint64(p.Offset)&low48
}

// firstVersion is a version that prefers earlier positions of one partition.
func firstVersion(p event.Position) uint64 { return ^positionVersion(p) }
