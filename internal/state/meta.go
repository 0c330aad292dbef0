package state

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/cespare/xxhash/v2"
	"github.com/cockroachdb/pebble/v2"
)

// Meta says up to where a store is a function of its partition's log.
type Meta struct {
	// EpochID is the random id of the epoch whose log the state was made from.
	EpochID string `json:"epoch_id"`
	// Next is the offset of the first record that has not been applied.
	Next int64 `json:"next"`
	// Last marks record Next-1; the zero Mark while the store has applied no record.
	Last Mark `json:"last"`
	// Clock is the partition clock after record Next-1, Unix ms (D8).
	Clock int64 `json:"clock"`
	// EventDay is the first log day whose payloads are still kept.
	EventDay uint16 `json:"event_day"`
	// SweepDay is the cutoff of the newest sweep of entities, and SweepCursor the key at which it goes on; an empty
	// cursor says that the sweep is over.
	SweepDay    uint16 `json:"sweep_day"`
	SweepCursor []byte `json:"sweep_cursor,omitempty"`
}

// Mark recognises one record of the log.
type Mark struct {
	// Timestamp is the record's timestamp, Unix ms.
	Timestamp int64 `json:"timestamp"`
	// Checksum covers the record's key and value.
	Checksum uint64 `json:"checksum"`
}

// MarkOf returns a record's mark.
func MarkOf(timestampMs int64, key, value []byte) Mark {
	var d xxhash.Digest
	d.Reset()
	var size [8]byte
	binary.BigEndian.PutUint64(size[:], uint64(len(key)))
	// Writing to the digest cannot fail.
	_, _ = d.Write(size[:])
	_, _ = d.Write(key)
	_, _ = d.Write(value)
	return Mark{Timestamp: timestampMs, Checksum: d.Sum64()}
}

var metaKey = []byte{prefixMeta}

// readMeta returns pebble.ErrNotFound when the store holds no metadata.
func readMeta(r pebble.Reader) (Meta, error) {
	var m Meta
	value, closer, err := r.Get(metaKey)
	if err != nil {
		return m, err
	}
	err = json.Unmarshal(value, &m)
	if err := errors.Join(err, closer.Close()); err != nil {
		return Meta{}, fmt.Errorf("decoding metadata: %w", err)
	}
	return m, nil
}

func writeMeta(b *pebble.Batch, m *Meta) error {
	value, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encoding metadata: %w", err)
	}
	return b.Set(metaKey, value, nil)
}
