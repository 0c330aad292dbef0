package eventlog

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
)

// Attributes of a batch.
const (
	attrCompression = 0x07
	attrAppendTime  = 0x08 // records have the broker's time; topics of ours do not
	attrControl     = 0x20 // markers of transactions, no records
)

// decoder turns batches into messages whose bytes are slices of the batches, or of what they decompress to.
type decoder struct {
	partition *Partition
	from      int64
	high      int64
	msgs      []kafka.Message
}

// decode reads batches until the data end; a last one that was cut short is left for the next read.
func (d *decoder) decode(data []byte) error {
	d.msgs = make([]kafka.Message, 0, announced(data))
	for len(data) >= batchHeader {
		head := wire{b: data}
		base := head.int64()
		length := int(head.int32())
		if length < batchHeader-12 {
			return fmt.Errorf("%w: a batch of %d bytes", errCorrupt, length)
		}
		if length > len(head.b) {
			return nil
		}
		if err := d.batch(base, head.b[:length]); err != nil {
			return err
		}
		data = head.b[length:]
	}
	return nil
}

// announced is how many records the batches' headers speak of, so that there is room for them at once. It believes two bytes
// a record, compressed, and no less.
func announced(data []byte) (n int) {
	sane := len(data) / 2
	for len(data) >= batchHeader {
		length := int(binary.BigEndian.Uint32(data[offLength-sizePrefix:])) + 12
		if length < batchHeader || length > len(data) {
			break
		}
		n += int(binary.BigEndian.Uint32(data[offCount-sizePrefix:]))
		data = data[length:]
	}
	return min(max(n, 0), sane)
}

func (d *decoder) batch(base int64, b []byte) error {
	h := wire{b: b}
	h.skip(4) // leader epoch
	if magic := h.int8(); magic != 2 {
		return fmt.Errorf("%w: batch at %d has version %d, expected 2", errCorrupt, base, magic)
	}
	if sum := uint32(h.int32()); sum != crc32.Checksum(h.b, castagnoli) {
		return fmt.Errorf("%w: batch at %d has another checksum", errCorrupt, base)
	}
	attributes := h.int16()
	h.skip(4) // last offset delta
	first, newest := h.int64(), h.int64()
	h.skip(8 + 2 + 4) // producer
	count := int(h.int32())
	if h.err != nil || attributes&attrControl != 0 {
		return h.err
	}
	records, err := decompress(kafka.Compression(attributes&attrCompression), h.b)
	if err != nil {
		return fmt.Errorf("batch at %d: %w", base, err)
	}
	if count < 0 || count > len(records) {
		return fmt.Errorf("%w: batch at %d says it has %d records", errCorrupt, base, count)
	}
	r := wire{b: records}
	for range count {
		if err := d.record(&r, base, first, newest, attributes&attrAppendTime != 0); err != nil {
			return err
		}
	}
	return nil
}

func (d *decoder) record(r *wire, base, first, newest int64, appendTime bool) error {
	r.varint() // length
	r.skip(1)  // attributes
	timestamp := first + r.varint()
	if appendTime {
		timestamp = newest
	}
	offset := base + r.varint()
	key, value := r.varbytes(), r.varbytes()
	headers := d.headers(r)
	if r.err != nil {
		return fmt.Errorf("record at %d: %w", offset, r.err)
	}
	if offset < d.from {
		return nil // a batch is sent whole, from its beginning
	}
	d.msgs = append(d.msgs, kafka.Message{
		Topic: d.partition.topic, Partition: d.partition.id, Offset: offset, HighWaterMark: d.high,
		Key: key, Value: value, Headers: headers, Time: time.UnixMilli(timestamp),
	})
	return nil
}

// headers returns a record's headers; those of our own records are one shared slice.
func (d *decoder) headers(r *wire) []kafka.Header {
	n := r.varint()
	if n <= 0 || n > int64(len(r.b)) {
		if n != 0 && r.err == nil {
			r.err = fmt.Errorf("%w: %d headers", errCorrupt, n)
		}
		return nil
	}
	own := d.partition.ownHeaders
	var out []kafka.Header
	for i := range n {
		key, value := r.varbytes(), r.varbytes()
		if n == 1 && i == 0 && len(own) == 1 && string(key) == own[0].Key && bytes.Equal(value, own[0].Value) {
			return own
		}
		out = append(out, kafka.Header{Key: string(key), Value: value})
	}
	return out
}

var scratches = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// maxScratch bounds the buffers that are kept for decompressing.
const maxScratch = 8 << 20

// decompress returns the records of a batch. Compressed ones are expanded into a buffer that is used again and copied once,
// because a buffer that grows to its size leaves as much garbage again.
func decompress(c kafka.Compression, data []byte) ([]byte, error) {
	if c == 0 {
		return data, nil
	}
	codec := c.Codec()
	if codec == nil {
		return nil, fmt.Errorf("%w: unknown compression %d", errCorrupt, int(c))
	}
	buf := scratches.Get().(*bytes.Buffer)
	defer func() {
		if buf.Cap() <= maxScratch {
			scratches.Put(buf)
		}
	}()
	buf.Reset()
	z := codec.NewReader(bytes.NewReader(data))
	defer func() { _ = z.Close() }() // nothing is lost: all was read
	if _, err := buf.ReadFrom(io.LimitReader(z, maxResponse)); err != nil {
		return nil, fmt.Errorf("%w: decompressing: %w", errCorrupt, err)
	}
	return bytes.Clone(buf.Bytes()), nil
}
