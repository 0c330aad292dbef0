package chdb

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/ClickHouse/ch-go/compress"
	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

// decompressed returns the request's body as the client meant it: Content-Encoding and, inside it, ClickHouse's own frames.
func decompressed(r *http.Request, values url.Values) (io.Reader, error) {
	var body io.Reader = r.Body
	switch encoding := strings.ToLower(r.Header.Get("Content-Encoding")); encoding {
	case "", "identity":
	case "gzip":
		body = &lazyReader{open: func() (io.Reader, error) { return gzip.NewReader(r.Body) }}
	case "deflate":
		body = &lazyReader{open: func() (io.Reader, error) { return zlib.NewReader(r.Body) }}
	case "br":
		body = brotli.NewReader(r.Body)
	case "zstd":
		body = &lazyReader{open: func() (io.Reader, error) {
			d, err := zstd.NewReader(r.Body, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(256<<20))
			if err != nil {
				return nil, err
			}
			return d.IOReadCloser(), nil
		}}
	default:
		return nil, refuse(codeNotImplemented, "Content-Encoding "+encoding+" is not supported: gzip, deflate, br or zstd")
	}
	if v := values.Get("decompress"); v == "1" {
		body = &frameReader{src: body}
	}
	return body, nil
}

// lazyReader opens a decompressor at the first read, for those that read their header when they are made.
type lazyReader struct {
	open func() (io.Reader, error)
	r    io.Reader
}

func (l *lazyReader) Read(p []byte) (int, error) {
	if l.r == nil {
		r, err := l.open()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF // an empty body is no compressed stream
			}
			return 0, err
		}
		l.r = r
	}
	return l.r.Read(p)
}

// frameReader reads ClickHouse's compressed frames (LZ4, ZSTD), each with its checksum. The body may end between frames only.
type frameReader struct {
	src    io.Reader
	frames *compress.Reader
}

func (f *frameReader) Read(p []byte) (int, error) {
	if f.frames == nil {
		f.frames = compress.NewReader(f.src)
	}
	n, err := f.frames.Read(p)
	switch {
	case err == nil:
		return n, nil
	case errors.Is(err, io.ErrUnexpectedEOF):
		return n, io.ErrUnexpectedEOF
	case errors.Is(err, io.EOF):
		return n, io.EOF // wrapped by the frame reader when no byte of a next header follows
	}
	return n, err
}

// frameWriter writes every Write as compressed frames.
type frameWriter struct {
	dst io.Writer
	w   *compress.Writer
}

func newFrameWriter(dst io.Writer, settings map[string]string) *frameWriter {
	method := compress.LZ4
	if strings.EqualFold(settings["network_compression_method"], "zstd") {
		method = compress.ZSTD
	}
	return &frameWriter{dst: dst, w: compress.NewWriter(compress.LevelZero, method)}
}

// maxFrame is the size of a frame before compression; readers refuse frames over 128 MiB.
const maxFrame = 1 << 20

func (f *frameWriter) Write(p []byte) (n int, err error) {
	for part := range chunks(p, maxFrame) {
		if err := f.w.Compress(part); err != nil {
			return n, err
		}
		if _, err := io.Copy(f.dst, bytes.NewReader(f.w.Data)); err != nil {
			return n, err
		}
		n += len(part)
	}
	return n, nil
}

// chunks yields p in parts of at most size bytes.
func chunks(p []byte, size int) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(p) > 0 {
			part := p[:min(size, len(p))]
			if !yield(part) {
				return
			}
			p = p[len(part):]
		}
	}
}
