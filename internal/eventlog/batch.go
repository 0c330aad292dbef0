package eventlog

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
)

// A record batch, version 2, as the protocol guide of Apache Kafka describes it (https://kafka.apache.org/documentation/#recordbatch).
// It is written here, and not by kafka-go, because callers then encode their own records in parallel, once, into the bytes
// that are sent; kafka-go's writer keeps a message object per record and encodes again at each attempt.
const (
	sizePrefix       = 4 // of the request's records field
	batchHeader      = 61
	offLength        = sizePrefix + 8
	offLeaderEpoch   = sizePrefix + 12
	offMagic         = sizePrefix + 16
	offCRC           = sizePrefix + 17
	offAttributes    = sizePrefix + 21
	offLastDelta     = sizePrefix + 23
	offBaseTimestamp = sizePrefix + 27
	offMaxTimestamp  = sizePrefix + 35
	offProducerID    = sizePrefix + 43
	offProducerEpoch = sizePrefix + 51
	offBaseSequence  = sizePrefix + 53
	offCount         = sizePrefix + 57
	batchStart       = sizePrefix + batchHeader
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// batch collects records of one partition until it is sent. Its owner guards it.
type batch struct {
	buf    []byte
	count  int32
	opened time.Time
	// done is closed when the batch was acknowledged or given up; err is set before.
	done chan struct{}
	err  error
	// baseOffset of the first record, once acknowledged.
	baseOffset int64
	attempts   int
	// held is what the batch holds of the writer's byte budget.
	held int64
}

var batchBuffers = sync.Pool{New: func() any { b := make([]byte, 0, 256<<10); return &b }}

func newBatch(now time.Time) *batch {
	buf := *batchBuffers.Get().(*[]byte)
	return &batch{buf: buf[:batchStart], opened: now, done: make(chan struct{})}
}

// recycle gives the buffer back; nothing may send it any more.
func (b *batch) recycle() {
	buf := b.buf
	b.buf = nil
	batchBuffers.Put(&buf)
}

// encodedSize is an upper bound of what a record adds to a batch.
func encodedSize(key, value, header []byte) int {
	return len(key) + len(value) + len(header) + 5*binary.MaxVarintLen32
}

// add appends a record. header is the encoded headers array, which starts with their number.
func (b *batch) add(key, value, header []byte) {
	delta := int64(b.count)
	body := 1 + 1 + varintLen(delta) + varintLen(int64(len(key))) + len(key) + varintLen(int64(len(value))) + len(value) + len(header)
	buf := binary.AppendVarint(b.buf, int64(body))
	buf = append(buf, 0, 0) // attributes; timestamp delta: all records have the time of sealing
	buf = binary.AppendVarint(buf, delta)
	buf = binary.AppendVarint(buf, int64(len(key)))
	buf = append(buf, key...)
	buf = binary.AppendVarint(buf, int64(len(value)))
	buf = append(buf, value...)
	b.buf = append(buf, header...)
	b.count++
}

// seal writes the batch's header. From then on the bytes do not change, however often they are sent.
func (b *batch) seal(now time.Time, codec kafka.Compression) error {
	if codec == NoCompression {
		codec = 0
	}
	if codec != 0 {
		if err := b.compress(codec); err != nil {
			return err
		}
	}
	h, ms := b.buf, uint64(now.UnixMilli())
	binary.BigEndian.PutUint32(h, uint32(len(h)-sizePrefix))
	binary.BigEndian.PutUint64(h[sizePrefix:], 0)
	binary.BigEndian.PutUint32(h[offLength:], uint32(len(h)-offLeaderEpoch))
	binary.BigEndian.PutUint32(h[offLeaderEpoch:], ^uint32(0))
	h[offMagic] = 2
	binary.BigEndian.PutUint16(h[offAttributes:], uint16(codec))
	binary.BigEndian.PutUint32(h[offLastDelta:], uint32(b.count-1))
	binary.BigEndian.PutUint64(h[offBaseTimestamp:], ms)
	binary.BigEndian.PutUint64(h[offMaxTimestamp:], ms)
	binary.BigEndian.PutUint64(h[offProducerID:], ^uint64(0))
	binary.BigEndian.PutUint16(h[offProducerEpoch:], ^uint16(0))
	binary.BigEndian.PutUint32(h[offBaseSequence:], ^uint32(0))
	binary.BigEndian.PutUint32(h[offCount:], uint32(b.count))
	binary.BigEndian.PutUint32(h[offCRC:], crc32.Checksum(h[offAttributes:], castagnoli))
	return nil
}

// compress replaces the records by their compressed form.
func (b *batch) compress(codec kafka.Compression) error {
	out := *batchBuffers.Get().(*[]byte)
	w := &appendWriter{buf: out[:batchStart]}
	z := codec.Codec().NewWriter(w)
	if _, err := z.Write(b.buf[batchStart:]); err != nil {
		return fmt.Errorf("compressing a batch of %d bytes: %w", len(b.buf), err)
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("compressing a batch of %d bytes: %w", len(b.buf), err)
	}
	b.recycle()
	b.buf = w.buf
	return nil
}

type appendWriter struct{ buf []byte }

func (w *appendWriter) Write(p []byte) (int, error) {
	w.buf = append(w.buf, p...)
	return len(p), nil
}

// encodeHeaders returns the headers array of a record.
func encodeHeaders(headers ...kafka.Header) []byte {
	b := binary.AppendVarint(nil, int64(len(headers)))
	for _, h := range headers {
		b = binary.AppendVarint(b, int64(len(h.Key)))
		b = append(b, h.Key...)
		b = binary.AppendVarint(b, int64(len(h.Value)))
		b = append(b, h.Value...)
	}
	return b
}

// varintLen is the length of the zigzag encoding of a number that is not negative.
func varintLen(v int64) int {
	n := 1
	for u := uint64(v) << 1; u >= 0x80; u >>= 7 {
		n++
	}
	return n
}
