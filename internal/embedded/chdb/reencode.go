package chdb

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/column"
	"github.com/ClickHouse/clickhouse-go/v2/lib/proto"

	chproto "github.com/ClickHouse/ch-go/proto"
)

// chunkReader reads a result's parts as one stream.
type chunkReader struct {
	next func() ([]byte, error)
	rest []byte
}

func (c *chunkReader) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		b, err := c.next()
		if err != nil {
			return 0, err
		}
		if len(b) == 0 {
			return 0, io.EOF
		}
		c.rest = b
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// reencode turns a stream of Native blocks of revision 0 into blocks of the given revision.
func reencode(next func() ([]byte, error), revision uint64) func() ([]byte, error) {
	src := &chunkReader{next: next}
	reader := chproto.NewReader(src)
	ended := false
	return func() ([]byte, error) {
		if ended {
			return nil, nil
		}
		block := proto.Block{ServerContext: &column.ServerContext{Timezone: time.UTC}}
		if err := block.Decode(reader, 0); err != nil {
			ended = true
			var engine *Error
			switch {
			case errors.As(err, &engine):
				return nil, engine
			case errors.Is(err, io.ErrUnexpectedEOF), len(block.Columns) > 0:
				return nil, fmt.Errorf("decoding a block of the engine: %w", err)
			case errors.Is(err, io.EOF):
				return nil, nil // between blocks: the end
			}
			return nil, fmt.Errorf("decoding a block of the engine: %w", err)
		}
		var out chproto.Buffer
		if err := block.Encode(&out, revision); err != nil {
			ended = true
			return nil, fmt.Errorf("encoding a block for the client: %w", err)
		}
		return out.Buf, nil
	}
}
