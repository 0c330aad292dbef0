package eventlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/fetch"
)

// errCorrupt reports an answer or a batch that is not what the protocol says.
var errCorrupt = errors.New("corrupt data from the broker")

// maxResponse bounds one answer to a fetch, against a length that is garbage.
const maxResponse = 256 << 20

// Versions of fetch that are spoken: 4 is the first with batches of version 2, 11 the last that kafka-go encodes.
const (
	minFetchVersion = 4
	maxFetchVersion = 11
)

// fetchRequest is kafka-go's request with an answer that is read here, whole, into one buffer: its records are then slices of
// that buffer. kafka-go's own answer costs six allocations and 1.9 KB a record.
type fetchRequest struct {
	*fetch.Request
	clientID string
	version  int16
}

var (
	_ protocol.RawExchanger  = (*fetchRequest)(nil)
	_ protocol.BrokerMessage = (*fetchRequest)(nil)
)

// Required is asked by the connection before each request, with the versions that it speaks.
func (r *fetchRequest) Required(versions map[protocol.ApiKey]int16) bool {
	r.version = versions[protocol.Fetch]
	return true
}

// RawExchange sends the request and reads the answer. The connection does one exchange at a time, and is closed on an error.
func (r *fetchRequest) RawExchange(rw io.ReadWriter) (protocol.Message, error) {
	if r.version < minFetchVersion || r.version > maxFetchVersion {
		return nil, fmt.Errorf("the broker speaks fetch version %d, needed is %d to %d", r.version, minFetchVersion, maxFetchVersion)
	}
	const correlation = 1
	if err := protocol.WriteRequest(rw, r.version, correlation, r.clientID, r.Request); err != nil {
		return nil, err
	}
	var head [4]byte
	if _, err := io.ReadFull(rw, head[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size < 4 || size > maxResponse {
		return nil, fmt.Errorf("%w: a response of %d bytes", errCorrupt, size)
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(rw, body); err != nil {
		return nil, err
	}
	d := wire{b: body}
	if id := d.int32(); id != correlation {
		return nil, fmt.Errorf("%w: answer %d to request %d", errCorrupt, id, correlation)
	}
	return decodeFetch(&d, r.version)
}

// fetchResponse is the answer for the one partition that was asked for.
type fetchResponse struct {
	code          int16
	highWatermark int64
	records       []byte
}

// ApiKey makes it a message.
func (*fetchResponse) ApiKey() protocol.ApiKey { return protocol.Fetch } //nolint:revive // the interface's name

func decodeFetch(d *wire, version int16) (*fetchResponse, error) {
	res := &fetchResponse{}
	d.skip(4) // throttle time
	if version >= 7 {
		res.code = d.int16()
		d.skip(4) // session
	}
	if res.code != 0 {
		return res, nil
	}
	if topics := d.int32(); topics != 1 && d.err == nil {
		return nil, fmt.Errorf("%w: %d topics for one", errCorrupt, topics)
	}
	d.skip(int(d.int16())) // topic
	if partitions := d.int32(); partitions != 1 && d.err == nil {
		return nil, fmt.Errorf("%w: %d partitions for one", errCorrupt, partitions)
	}
	d.skip(4) // partition
	res.code = d.int16()
	res.highWatermark = d.int64()
	d.skip(8) // last stable offset
	if version >= 5 {
		d.skip(8) // log start offset
	}
	if aborted := d.int32(); aborted > 0 {
		d.skip(16 * int(aborted))
	}
	if version >= 11 {
		d.skip(4) // preferred read replica
	}
	if size := d.int32(); size > 0 {
		res.records = d.bytes(int(size))
	}
	return res, d.err
}

// wire reads big-endian fields. After the first error it returns zeros.
type wire struct {
	b   []byte
	err error
}

func (d *wire) bytes(n int) []byte {
	if d.err != nil || n < 0 || n > len(d.b) {
		d.err = fmt.Errorf("%w: truncated", errCorrupt)
		return nil
	}
	out := d.b[:n:n]
	d.b = d.b[n:]
	return out
}

func (d *wire) skip(n int) { d.bytes(n) }

func (d *wire) int8() int8 {
	if b := d.bytes(1); b != nil {
		return int8(b[0])
	}
	return 0
}

func (d *wire) int16() int16 {
	if b := d.bytes(2); b != nil {
		return int16(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (d *wire) int32() int32 {
	if b := d.bytes(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (d *wire) int64() int64 {
	if b := d.bytes(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

func (d *wire) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 || d.err != nil {
		d.err = fmt.Errorf("%w: bad varint", errCorrupt)
		return 0
	}
	d.b = d.b[n:]
	return v
}

// varbytes reads bytes after their length; -1 stands for nil.
func (d *wire) varbytes() []byte {
	n := d.varint()
	if n == -1 || d.err != nil {
		return nil
	}
	if n < 0 || n > int64(len(d.b)) {
		d.err = fmt.Errorf("%w: truncated", errCorrupt)
		return nil
	}
	return d.bytes(int(n))
}
