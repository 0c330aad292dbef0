package spool

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/aftertouch-io/aftertouch/internal/eventlog"
)

// A segment is a sequence of frames: length of the content and its CRC-32C, 4 bytes each, little endian, then the content:
// per record the length of the key, the key, the length of the value, the value.
const (
	headerSize = 8
	// maxFrame is far above what one call appends; a greater length is not a length.
	maxFrame = 64 << 20
	// deliverBytes is when what was read is handed over.
	deliverBytes = 1 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func encodeFrame(recs []eventlog.Record) ([]byte, error) {
	size := headerSize
	for _, r := range recs {
		size += len(r.Key) + len(r.Value) + 2*binary.MaxVarintLen32
	}
	if size > maxFrame {
		return nil, fmt.Errorf("spooling: %d bytes in one call", size)
	}
	b := make([]byte, headerSize, size)
	for _, r := range recs {
		b = append(binary.AppendUvarint(b, uint64(len(r.Key))), r.Key...)
		b = append(binary.AppendUvarint(b, uint64(len(r.Value))), r.Value...)
	}
	content := b[headerSize:]
	binary.LittleEndian.PutUint32(b, uint32(len(content)))
	binary.LittleEndian.PutUint32(b[4:], crc32.Checksum(content, castagnoli))
	return b, nil
}

// activeSegment is the file that is written to.
type activeSegment struct {
	file  *os.File
	begun time.Time
	size  int64 // guarded by the spool's lock

	// syncing lets one caller sync for all who wrote before it began.
	syncing sync.Mutex
	synced  int64
	failed  error
}

func createSegment(dir string, number uint64, now time.Time) (*activeSegment, error) {
	file, err := os.OpenFile(filepath.Join(dir, fmt.Sprintf("%020d%s", number, suffix)), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("creating spool file: %w", err)
	}
	if err := syncDir(dir); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &activeSegment{file: file, begun: now}, nil
}

// syncDir makes the file's name as durable as its content.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("opening spool directory: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("syncing spool directory: %w", err)
	}
	return nil
}

// write appends a frame. After a partial write the file is cut back, so that later frames can be found.
func (a *activeSegment) write(frame []byte) error {
	n, err := a.file.WriteAt(frame, a.size)
	if err != nil {
		if cut := a.file.Truncate(a.size); cut != nil {
			a.size += int64(n)
			return fmt.Errorf("writing spool file: %w", errors.Join(err, cut))
		}
		return fmt.Errorf("writing spool file: %w", err)
	}
	a.size += int64(n)
	return nil
}

// sync returns when everything up to end is on disk.
func (a *activeSegment) sync(end int64) error {
	a.syncing.Lock()
	defer a.syncing.Unlock()
	if a.synced >= end {
		return nil
	}
	return a.syncAll()
}

// syncAll syncs; the lock is held. After a failed fsync nothing is known about the file's pages, so it stays failed.
func (a *activeSegment) syncAll() error {
	if a.failed != nil {
		return a.failed
	}
	info, err := a.file.Stat()
	if err == nil {
		err = a.file.Sync()
	}
	if err != nil {
		a.failed = fmt.Errorf("syncing spool file: %w", err)
		return a.failed
	}
	a.synced = info.Size()
	return nil
}

// close syncs and closes the file.
func (a *activeSegment) close() error {
	a.syncing.Lock()
	defer a.syncing.Unlock()
	syncErr := a.syncAll()
	if err := a.file.Close(); err != nil {
		return errors.Join(syncErr, fmt.Errorf("closing spool file: %w", err))
	}
	return syncErr
}

// readSegment hands over the records of all good frames and returns how many bytes follow the last one.
func readSegment(path string, deliver func([]eventlog.Record) error) (unread int64, err error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, fmt.Errorf("opening spool file: %w", err)
	}
	defer file.Close() //nolint:errcheck // it was only read
	info, err := file.Stat()
	if err != nil {
		return 0, fmt.Errorf("opening spool file: %w", err)
	}
	in := bufio.NewReaderSize(file, 256<<10)
	var recs []eventlog.Record
	held, good := 0, int64(0)
	for {
		content, frameErr := readFrame(in, info.Size()-good)
		if frameErr == nil {
			recs, frameErr = appendRecords(recs, content)
		}
		if frameErr != nil && !errors.Is(frameErr, errBadFrame) {
			return 0, frameErr
		}
		if frameErr == nil {
			held += len(content)
			good += headerSize + int64(len(content))
		}
		if len(recs) > 0 && (frameErr != nil || held >= deliverBytes) {
			if err := deliver(recs); err != nil {
				return 0, err
			}
			recs, held = nil, 0
		}
		if frameErr != nil {
			return info.Size() - good, nil
		}
	}
}

// errBadFrame means that there is no further frame: the file ends, or what follows is none.
var errBadFrame = errors.New("no frame")

func readFrame(in io.Reader, left int64) ([]byte, error) {
	var header [headerSize]byte
	if left < headerSize {
		return nil, errBadFrame
	}
	if _, err := io.ReadFull(in, header[:]); err != nil {
		return nil, fmt.Errorf("reading spool file: %w", err)
	}
	size := int64(binary.LittleEndian.Uint32(header[:]))
	if size == 0 || size > maxFrame || size > left-headerSize {
		return nil, errBadFrame
	}
	content := make([]byte, size)
	if _, err := io.ReadFull(in, content); err != nil {
		return nil, fmt.Errorf("reading spool file: %w", err)
	}
	if crc32.Checksum(content, castagnoli) != binary.LittleEndian.Uint32(header[4:]) {
		return nil, errBadFrame
	}
	return content, nil
}

// appendRecords appends all records of a frame, or none.
func appendRecords(recs []eventlog.Record, content []byte) ([]eventlog.Record, error) {
	before := len(recs)
	for len(content) > 0 {
		var r eventlog.Record
		var ok bool
		if r.Key, content, ok = cut(content); !ok {
			return recs[:before], errBadFrame
		}
		if r.Value, content, ok = cut(content); !ok {
			return recs[:before], errBadFrame
		}
		recs = append(recs, r)
	}
	return recs, nil
}

func cut(b []byte) (part, rest []byte, ok bool) {
	size, n := binary.Uvarint(b)
	if n <= 0 || size > uint64(len(b)-n) {
		return nil, nil, false
	}
	return b[n : n+int(size) : n+int(size)], b[n+int(size):], true
}
