package broker

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// After a crash kfake holds the whole log in memory while it starts, unless each partition has a snapshot that fits its segments. So before it
// starts, snapshots that do not fit are written anew from the segments, read batch by batch. The format is kfake's version 1 (its persist.go);
// a partition that this code does not understand is left to kfake.

// snapshot is kfake's snapshot.json of one partition.
type snapshot struct {
	Version          int             `json:"version"`
	HighWatermark    int64           `json:"high_watermark"`
	LastStableOffset int64           `json:"last_stable_offset"`
	LogStartOffset   int64           `json:"log_start_offset"`
	Epoch            int32           `json:"epoch"`
	LeaderNode       int32           `json:"leader_node,omitempty"`
	MaxTimestamp     int64           `json:"max_timestamp"`
	CreatedAt        time.Time       `json:"created_at"`
	AbortedTxns      json.RawMessage `json:"aborted_txns,omitempty"`
	Segments         []segment       `json:"segments"`
}

type segment struct {
	BaseOffset int64 `json:"base_offset"`
	Size       int64 `json:"size"`
	MinEpoch   int32 `json:"min_epoch,omitempty"`
	MaxEpoch   int32 `json:"max_epoch,omitempty"`
}

const (
	snapshotVersion = 1
	snapshotName    = "snapshot.json"
	indexEntrySize  = 15
	batchHeaderSize = 61
	batchMaxLength  = 1 << 30
)

// errTransactions marks a partition with transactional batches, whose state only kfake can restore.
var errTransactions = errors.New("the partition holds transactions")

// recoverSnapshots brings the snapshots below a kfake data directory up to date and returns how many it wrote.
func recoverSnapshots(dir string) (written int, err error) {
	partitions, err := os.ReadDir(filepath.Join(dir, "partitions"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	for _, p := range partitions {
		wrote, err := recoverPartition(filepath.Join(dir, "partitions", p.Name()))
		switch {
		case errors.Is(err, errTransactions):
		case err != nil:
			return written, fmt.Errorf("recovering partition %s: %w", p.Name(), err)
		case wrote:
			written++
		}
	}
	return written, nil
}

// recoverPartition writes a partition's snapshot when the one there does not fit the segments.
func recoverPartition(dir string) (wrote bool, err error) {
	bases, err := segmentBases(dir)
	if err != nil || len(bases) == 0 {
		return false, err
	}
	old, err := readSnapshot(dir)
	if err != nil {
		return false, err
	}
	if old.Version > snapshotVersion || old.fits(dir, bases) {
		return false, nil
	}
	s := snapshot{Version: snapshotVersion, LogStartOffset: -1}
	for i, base := range bases {
		if err := s.add(dir, base, i == len(bases)-1); err != nil {
			return false, err
		}
	}
	if s.LogStartOffset < 0 { // no batch in any segment
		return false, nil
	}
	s.LastStableOffset = s.HighWatermark
	// What was deleted before the last clean end stays deleted; kfake itself would bring it back.
	s.LogStartOffset = min(max(s.LogStartOffset, old.LogStartOffset), s.HighWatermark)
	return true, s.write(dir)
}

func segmentBases(dir string) ([]int64, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var bases []int64
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".dat"); ok {
			if base, err := strconv.ParseInt(name, 10, 64); err == nil {
				bases = append(bases, base)
			}
		}
	}
	slices.Sort(bases)
	return bases, nil
}

// readSnapshot returns a zero snapshot when there is none, or none that can be read.
func readSnapshot(dir string) (s snapshot, err error) {
	b, err := os.ReadFile(filepath.Join(dir, snapshotName))
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return snapshot{}, nil //nolint:nilerr // a snapshot that cannot be read is written anew
	}
	return s, nil
}

// fits is kfake's own test of a snapshot.
func (s snapshot) fits(dir string, bases []int64) bool {
	if len(s.Segments) != len(bases) {
		return false
	}
	for i, base := range bases {
		info, err := os.Stat(segmentPath(dir, base))
		if err != nil || s.Segments[i].BaseOffset != base || s.Segments[i].Size != info.Size() {
			return false
		}
	}
	return true
}

func segmentPath(dir string, base int64) string {
	return filepath.Join(dir, strconv.FormatInt(base, 10)+".dat")
}

// add reads one segment. A batch that was being written when the process died is cut off the last one.
func (s *snapshot) add(dir string, base int64, last bool) error {
	path := segmentPath(dir, base)
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // only read
	info, err := f.Stat()
	if err != nil {
		return err
	}
	r, seg := bufio.NewReaderSize(f, 256<<10), segment{BaseOffset: base}
	batches := int64(0)
	for {
		b, err := readBatch(r)
		if errors.Is(err, errTransactions) {
			return err
		}
		if err != nil {
			break
		}
		if batches++; batches == 1 {
			seg.MinEpoch = b.epoch
		}
		seg.MinEpoch, seg.MaxEpoch = min(seg.MinEpoch, b.epoch), max(seg.MaxEpoch, b.epoch)
		seg.Size += b.size
		s.took(b)
	}
	s.Segments = append(s.Segments, seg)
	if seg.Size == info.Size() {
		return nil
	}
	if !last {
		return fmt.Errorf("segment %s is damaged at byte %d of %d: records after it would be lost, restore the directory", path, seg.Size, info.Size())
	}
	return cut(path, seg.Size, batches*indexEntrySize)
}

// took counts a batch in.
func (s *snapshot) took(b batch) {
	if s.LogStartOffset < 0 {
		s.LogStartOffset, s.CreatedAt = b.first, time.UnixMilli(b.firstTimestamp)
	}
	s.HighWatermark, s.Epoch = b.next, b.epoch
	s.MaxTimestamp = max(s.MaxTimestamp, b.maxTimestamp)
}

// cut shortens a segment and its index.
func cut(path string, size, indexSize int64) error {
	if err := os.Truncate(path, size); err != nil {
		return err
	}
	index := strings.TrimSuffix(path, ".dat") + ".idx"
	if info, err := os.Stat(index); err != nil || info.Size() <= indexSize {
		return nil //nolint:nilerr // kfake rebuilds what a short or missing index lacks
	}
	return os.Truncate(index, indexSize)
}

// batch is what a snapshot needs of a record batch.
type batch struct {
	size, first, next, firstTimestamp, maxTimestamp int64
	epoch                                           int32
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// readBatch reads one record batch of version 2 and checks its checksum, without keeping it.
func readBatch(r *bufio.Reader) (b batch, err error) {
	var h [batchHeaderSize]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return b, err
	}
	be := binary.BigEndian
	length := int64(be.Uint32(h[8:]))
	if length < batchHeaderSize-12 || length > batchMaxLength || h[16] != 2 {
		return b, errors.New("no batch")
	}
	sum := crc32.New(castagnoli)
	sum.Write(h[21:])
	if _, err := io.CopyN(sum, r, length-(batchHeaderSize-12)); err != nil {
		return b, err
	}
	if sum.Sum32() != be.Uint32(h[17:]) {
		return b, errors.New("wrong checksum")
	}
	if be.Uint16(h[21:])&0x30 != 0 { // transactional or control
		return b, errTransactions
	}
	first := int64(be.Uint64(h[0:]))
	return batch{
		size: 12 + length, first: first, next: first + int64(be.Uint32(h[23:])) + 1, epoch: int32(be.Uint32(h[12:])),
		firstTimestamp: int64(be.Uint64(h[27:])), maxTimestamp: int64(be.Uint64(h[35:])),
	}, nil
}

// write puts the snapshot in place in one step.
func (s *snapshot) write(dir string) error {
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, snapshotName)
	f, err := os.OpenFile(path+".tmp", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}
