package eventlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"golang.org/x/sync/semaphore"
)

// Errors of the writer.
var (
	// ErrRecordTooLarge reports a record that fits in no batch; nothing of the call was written.
	ErrRecordTooLarge = errors.New("record too large")
	// ErrClosed reports a writer that was closed.
	ErrClosed = errors.New("writer is closed")
)

// EpochHeader is the header that holds the epoch's id.
const EpochHeader = "epoch"

// Record is what is appended to the events log. The writer adds timestamp and epoch.
type Record struct{ Key, Value []byte }

// WriterConfig configures a Writer.
type WriterConfig struct {
	// Epoch that is written to.
	Epoch EpochInfo
	// Linger is how long a batch waits for other callers' records, from its first one. Default 2 ms.
	Linger time.Duration
	// MaxBatchBytes bounds a batch before compression, and so a record. Default and maximum 1,000,000.
	MaxBatchBytes int
	// MaxBufferedBytes bounds what waits for acknowledgement; Append blocks above it. Default 64 MiB.
	MaxBufferedBytes int64
	// DeliveryTimeout bounds all attempts to send one batch. Default 30 s.
	DeliveryTimeout time.Duration
	// AttemptTimeout bounds one attempt. Default 10 s.
	AttemptTimeout time.Duration
	// Compression of batches. Default snappy, which costs the embedded broker less than the bytes it saves.
	Compression kafka.Compression
}

// NoCompression leaves batches as they are.
const NoCompression kafka.Compression = -1

func (c WriterConfig) withDefaults() WriterConfig {
	setDefault(&c.Linger, 2*time.Millisecond)
	setDefault(&c.MaxBatchBytes, 1_000_000)
	setDefault(&c.MaxBufferedBytes, 64<<20)
	setDefault(&c.DeliveryTimeout, 30*time.Second)
	setDefault(&c.AttemptTimeout, 10*time.Second)
	setDefault(&c.Compression, kafka.Snappy)
	return c
}

func setDefault[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

// Validate reports everything that is wrong.
func (c WriterConfig) Validate() error {
	var errs []error
	if c.Epoch.Topic == "" || c.Epoch.ID == "" || c.Epoch.Partitions < 1 {
		errs = append(errs, fmt.Errorf("epoch: topic %q, id %q and %d partitions: all are needed", c.Epoch.Topic, c.Epoch.ID, c.Epoch.Partitions))
	}
	if c.MaxBatchBytes < 1024 || c.MaxBatchBytes > 1_000_000 {
		errs = append(errs, fmt.Errorf("max batch bytes: %d is not 1024 to 1000000", c.MaxBatchBytes))
	}
	if c.MaxBufferedBytes < int64(2*c.MaxBatchBytes) {
		errs = append(errs, fmt.Errorf("max buffered bytes: %d is less than two batches", c.MaxBufferedBytes))
	}
	return errors.Join(errs...)
}

// Writer appends to the events topic of one epoch. Records of concurrent callers travel in shared batches; per partition one
// batch is under way at a time, so records keep the order in which they were appended. It is safe for concurrent use, and
// rests when it has nothing to send.
type Writer struct {
	cfg       WriterConfig
	client    *Client
	log       *slog.Logger
	metrics   *writerMetrics
	header    []byte
	balancer  kafka.Murmur2Balancer
	all       []int // partition numbers, for the balancer
	parts     []*writerPartition
	budget    *semaphore.Weighted
	ctx       context.Context //nolint:containedctx // of sending, which outlives the calls that start it; Close ends it
	cancel    context.CancelFunc
	senders   sync.WaitGroup
	closeLock sync.RWMutex
	closed    bool
}

// NewWriter makes a writer. Nothing is sent before the first Append.
func NewWriter(c *Client, cfg WriterConfig, reg prometheus.Registerer, log *slog.Logger) (*Writer, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configuring the event log's writer: %w", err)
	}
	metrics, err := newWriterMetrics(reg)
	if err != nil {
		return nil, err
	}
	w := &Writer{
		cfg: cfg, client: c, log: log, metrics: metrics,
		header:   encodeHeaders(kafka.Header{Key: EpochHeader, Value: []byte(cfg.Epoch.ID)}),
		balancer: kafka.Murmur2Balancer{Consistent: true},
		budget:   semaphore.NewWeighted(cfg.MaxBufferedBytes),
	}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	for i := range cfg.Epoch.Partitions {
		w.all = append(w.all, i)
		w.parts = append(w.parts, &writerPartition{w: w, id: i, full: make(chan struct{}, 1)})
	}
	return w, nil
}

// Partition returns the partition that records with the key go to.
func (w *Writer) Partition(key []byte) int {
	return w.balancer.Balance(kafka.Message{Key: key}, w.all...)
}

// Append appends the records and returns when the brokers have acknowledged all of them (acks=all). On an error nothing may
// be assumed about the records: each may have been written, more than once even. The records' bytes are not used after
// Append has returned. It blocks while MaxBufferedBytes are waiting, until ctx ends.
func (w *Writer) Append(ctx context.Context, recs []Record) error {
	p, err := w.Enqueue(ctx, recs)
	if err != nil {
		return err
	}
	return p.Wait(ctx)
}

// Pending is a promise of acknowledgement.
type Pending struct{ batches []*batch }

// Wait returns when the brokers have acknowledged all records, or with the error of a batch that was given up, or with
// that of ctx.
func (p Pending) Wait(ctx context.Context) error {
	var first error
	for _, b := range p.batches {
		select {
		case <-b.done:
		default:
			select {
			case <-b.done:
			case <-ctx.Done():
				return fmt.Errorf("waiting for acknowledgement: %w", ctx.Err())
			}
		}
		if b.err != nil && first == nil {
			first = b.err
		}
	}
	return first
}

// Enqueue is the first half of Append: it places the records, in order, behind everything enqueued before, and copies them.
func (w *Writer) Enqueue(ctx context.Context, recs []Record) (Pending, error) {
	size, err := w.size(recs)
	if err != nil || size == 0 {
		return Pending{}, err
	}
	if err := w.reserve(ctx, size); err != nil {
		return Pending{}, err
	}
	w.closeLock.RLock()
	defer w.closeLock.RUnlock()
	if w.closed {
		w.budget.Release(size)
		return Pending{}, ErrClosed
	}
	if len(recs) == 1 {
		p := w.parts[w.Partition(recs[0].Key)]
		return Pending{p.add(nil, recs, oneIndex)}, nil
	}
	var pending Pending
	for part, idx := range w.group(recs) {
		if len(idx) > 0 {
			pending.batches = w.parts[part].add(pending.batches, recs, idx)
		}
	}
	return pending, nil
}

var oneIndex = []int32{0}

func (w *Writer) size(recs []Record) (int64, error) {
	var size int64
	for i := range recs {
		n := encodedSize(recs[i].Key, recs[i].Value, w.header)
		if n > w.cfg.MaxBatchBytes-batchStart {
			return 0, fmt.Errorf("%w: %d bytes, key %q", ErrRecordTooLarge, n, recs[i].Key)
		}
		size += int64(n)
	}
	if size > w.cfg.MaxBufferedBytes {
		return 0, fmt.Errorf("%w: %d bytes in one call", ErrRecordTooLarge, size)
	}
	return size, nil
}

func (w *Writer) reserve(ctx context.Context, size int64) error {
	if w.budget.TryAcquire(size) {
		return nil
	}
	w.metrics.blocked.Inc()
	if err := w.budget.Acquire(ctx, size); err != nil {
		return fmt.Errorf("waiting for room in the event log's writer: %w", err)
	}
	return nil
}

// group returns, per partition, the indexes of its records.
func (w *Writer) group(recs []Record) [][]int32 {
	n := len(w.parts)
	place := make([]int32, len(recs))
	counts := make([]int32, n)
	for i := range recs {
		p := int32(w.Partition(recs[i].Key))
		place[i] = p
		counts[p]++
	}
	order := make([]int32, 0, len(recs))
	groups := make([][]int32, n)
	for p, c := range counts {
		groups[p] = order[len(order) : len(order) : len(order)+int(c)]
		order = order[:len(order)+int(c)]
	}
	for i, p := range place {
		groups[p] = append(groups[p], int32(i))
	}
	return groups
}

// Close lets what was enqueued be sent, until ctx ends; then it gives up the rest. Appending fails with ErrClosed from now on.
func (w *Writer) Close(ctx context.Context) error {
	w.closeLock.Lock()
	w.closed = true
	w.closeLock.Unlock()
	done := make(chan struct{})
	go func() {
		w.senders.Wait()
		close(done)
	}()
	defer w.cancel()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		w.cancel()
		<-done
		return fmt.Errorf("flushing the event log's writer: %w", ctx.Err())
	}
}

// writerPartition is the queue of one partition.
type writerPartition struct {
	w    *Writer
	id   int
	full chan struct{} // tells the sender that a batch was sealed by size

	mu      sync.Mutex
	queue   []*batch // waiting to be sent, the last one is open
	sending bool     // a sender runs
}

// add appends the records at idx to the open batch, opening new ones as needed, and returns batches with those it used.
func (p *writerPartition) add(batches []*batch, recs []Record, idx []int32) []*batch {
	header, limit := p.w.header, p.w.cfg.MaxBatchBytes
	p.mu.Lock()
	defer p.mu.Unlock()
	var current *batch
	for _, i := range idx {
		r := &recs[i]
		n := encodedSize(r.Key, r.Value, header)
		b := p.open(n, limit)
		if b != current {
			batches, current = append(batches, b), b
		}
		b.add(r.Key, r.Value, header)
		b.held += int64(n)
	}
	if !p.sending {
		p.sending = true
		p.w.senders.Add(1)
		go p.send()
	}
	return batches
}

// open returns the batch that a record of n bytes goes to.
func (p *writerPartition) open(n, limit int) *batch {
	if last := len(p.queue) - 1; last >= 0 {
		if len(p.queue[last].buf)+n <= limit {
			return p.queue[last]
		}
		select {
		case p.full <- struct{}{}:
		default:
		}
	}
	b := newBatch(time.Now())
	p.queue = append(p.queue, b)
	return b
}

// send sends batches until there are none.
func (p *writerPartition) send() {
	defer p.w.senders.Done()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		b := p.next(timer)
		if b == nil {
			return
		}
		p.deliver(b)
	}
}

// next waits until the oldest batch is full or old enough and takes it. It returns nil when there is none: the sender ends.
func (p *writerPartition) next(timer *time.Timer) *batch {
	for {
		p.mu.Lock()
		if len(p.queue) == 0 {
			p.sending = false
			p.mu.Unlock()
			return nil
		}
		b := p.queue[0]
		wait := p.w.cfg.Linger - time.Since(b.opened)
		if wait <= 0 || len(p.queue) > 1 || p.w.ctx.Err() != nil {
			p.queue[0] = nil
			p.queue = p.queue[1:]
			p.mu.Unlock()
			return b
		}
		p.mu.Unlock()
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-p.full:
		case <-p.w.ctx.Done():
		}
	}
}

// deliver sends the batch until it is acknowledged or given up, and tells the callers.
func (p *writerPartition) deliver(b *batch) {
	m := p.w.metrics
	start := time.Now()
	m.batchBytes.Observe(float64(len(b.buf)))
	err := b.seal(start, p.w.cfg.Compression)
	sent := len(b.buf)
	if err == nil {
		err = p.attempts(b, start.Add(p.w.cfg.DeliveryTimeout))
	}
	if err != nil {
		b.err = fmt.Errorf("appending to %s/%d: %w", p.w.cfg.Epoch.Topic, p.id, err)
		m.failed.Add(float64(b.count))
		p.w.log.Error("batch given up", "topic", p.w.cfg.Epoch.Topic, "partition", p.id, "records", b.count, "error", err)
	} else {
		m.records.Add(float64(b.count))
		m.bytes.Add(float64(sent))
	}
	if err == nil && b.attempts == 1 {
		// An attempt that was given up may still be reading the bytes: those are left to the garbage collector.
		b.recycle()
	}
	m.duration.Observe(time.Since(start).Seconds())
	close(b.done)
	p.w.budget.Release(b.held)
}

func (p *writerPartition) attempts(b *batch, deadline time.Time) error {
	ctx, cancel := context.WithDeadline(p.w.ctx, deadline)
	defer cancel()
	backoff := 50 * time.Millisecond
	for {
		b.attempts++
		offset, err := p.w.client.produce(ctx, p.w.cfg.Epoch.Topic, p.id, b.buf, p.w.cfg.AttemptTimeout)
		if err == nil {
			b.baseOffset = offset
			return nil
		}
		p.w.metrics.attemptsFailed.Inc()
		if !retriable(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w (%w)", err, ctx.Err())
		case <-time.After(backoff):
		}
		backoff = min(2*backoff, time.Second)
	}
}

// produce sends an encoded batch once, with acks=all, and returns the offset of its first record.
func (c *Client) produce(ctx context.Context, topic string, partition int, encoded []byte, timeout time.Duration) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	res, err := c.kafka.RawProduce(ctx, &kafka.RawProduceRequest{
		Topic: topic, Partition: partition, RequiredAcks: kafka.RequireAll,
		RawRecords: protocol.RawRecordSet{Reader: bytes.NewReader(encoded)},
	})
	if err != nil {
		return 0, err
	}
	return res.BaseOffset, res.Error
}

// retriable tells the errors that another attempt may cure: those of the network, and those that the protocol calls so.
func retriable(err error) bool {
	if code, ok := errors.AsType[kafka.Error](err); ok {
		return code.Temporary() || code.Timeout()
	}
	return true
}
