package replay

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
)

// maxBatchBytes keeps a batch below the collector's limit of 1 MiB.
const maxBatchBytes = 900 << 10

// Decode reads one JSON event.
type Decode func(line []byte, into *aftertouchv1.Event) error

// batch is a run of lines; events and lines go together.
type batch struct {
	events []*aftertouchv1.Event
	lines  []int64
	// end and nextLine are where the file goes on behind the batch.
	end, nextLine int64
	// malformed lines of the run, which are not sent.
	malformed []Refused
}

// reader cuts the file into batches.
type reader struct {
	in     *bufio.Reader
	decode Decode
	offset int64
	line   int64
	size   int
}

// next returns the following batch; io.EOF after the last one.
func (r *reader) next() (*batch, error) {
	b := &batch{}
	for bytesIn := 0; len(b.events) < r.size && bytesIn < maxBatchBytes; {
		line, err := r.in.ReadBytes('\n')
		if len(line) == 0 && errors.Is(err, io.EOF) {
			break
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("reading line %d: %w", r.line, err)
		}
		r.add(b, line)
		bytesIn += len(line)
		r.offset += int64(len(line))
		r.line++
	}
	if len(b.events) == 0 && len(b.malformed) == 0 {
		return nil, io.EOF
	}
	b.end, b.nextLine = r.offset, r.line
	return b, nil
}

func (r *reader) add(b *batch, line []byte) {
	line = bytes.TrimSpace(line)
	if len(line) == 0 {
		return
	}
	e := &aftertouchv1.Event{}
	if err := r.decode(line, e); err != nil {
		b.malformed = append(b.malformed, Refused{Line: r.line, Reason: "malformed", Detail: err.Error()})
		return
	}
	if e.EventId == "" {
		sum := sha256.Sum256(line)
		e.EventId = fmt.Sprintf("line-%d-%x", r.line, sum[:8])
	}
	b.events, b.lines = append(b.events, e), append(b.lines, r.line)
}
