package replay

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
)

const (
	saveEvery  = time.Second
	firstPause = 100 * time.Millisecond
	longPause  = 5 * time.Second
)

// Watch is told how many bytes of how many have been acknowledged.
type Watch func(done, size int64)

// Replayer replays one file.
type Replayer struct {
	cfg    Config
	events aftertouchv1.CollectorServiceClient
	decode Decode
	watch  Watch
	logger *slog.Logger

	progress Progress
	size     int64
	refused  *os.File
	saved    time.Time
}

// New returns a replayer that sends to the collector; the context given to Run carries the key.
func New(cfg Config, events aftertouchv1.CollectorServiceClient, decode Decode, watch Watch, logger *slog.Logger) (*Replayer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("checking the settings of replay: %w", err)
	}
	return &Replayer{cfg: cfg, events: events, decode: decode, watch: watch, logger: logger}, nil
}

// Run replays what has not been acknowledged yet and returns what has been after it. Refused lines are no error: they are
// counted in the progress and listed in RefusedPath. After an error or cancellation another Run goes on where it stopped.
func (r *Replayer) Run(ctx context.Context) (p Progress, err error) {
	f, err := os.Open(r.cfg.File)
	if err != nil {
		return Progress{}, fmt.Errorf("opening the history: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := r.begin(f); err != nil {
		return Progress{}, err
	}
	defer func() {
		err = errors.Join(err, r.refused.Close(), r.progress.save(r.cfg.File))
		p = r.progress
	}()
	return r.progress, r.sendAll(ctx, f)
}

// begin loads the progress and opens the list of refused lines.
func (r *Replayer) begin(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("opening the history: %w", err)
	}
	r.size = info.Size()
	if r.progress, err = loadProgress(f, r.cfg.Restart); err != nil {
		return err
	}
	if r.refused, err = os.OpenFile(RefusedPath(r.cfg.File), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644); err != nil {
		return fmt.Errorf("opening the list of refused lines: %w", err)
	}
	// Lines listed after the last save will be refused, and listed, again.
	if err := r.refused.Truncate(r.progress.ListBytes); err != nil {
		return errors.Join(fmt.Errorf("shortening the list of refused lines: %w", err), r.refused.Close())
	}
	return nil
}

// sendAll goes on over a new stream from the last acknowledged line whenever a stream breaks, while patience lasts.
func (r *Replayer) sendAll(ctx context.Context, f *os.File) error {
	pause, broken := firstPause, time.Time{}
	for {
		before := r.progress.Offset
		err := r.sendRest(ctx, f)
		if err == nil || ctx.Err() != nil || !retryable(err) {
			return err
		}
		if r.progress.Offset > before || broken.IsZero() {
			pause, broken = firstPause, time.Now()
		}
		if time.Since(broken) > r.cfg.Patience {
			return fmt.Errorf("giving up after %s: %w", r.cfg.Patience, err)
		}
		r.logger.WarnContext(ctx, "collector away, trying again", "pause", pause, "error", err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
		pause = min(2*pause, longPause)
	}
}

func (r *Replayer) sendRest(ctx context.Context, f *os.File) error {
	if _, err := f.Seek(r.progress.Offset, io.SeekStart); err != nil {
		return fmt.Errorf("seeking to byte %d: %w", r.progress.Offset, err)
	}
	return r.stream(ctx, &reader{
		in: bufio.NewReaderSize(f, 1<<20), decode: r.decode, offset: r.progress.Offset, line: r.progress.NextLine, size: r.cfg.Batch,
	})
}

// settle takes the results of a batch into the progress. The batch is the next one in file order.
func (r *Replayer) settle(b *batch, results []*aftertouchv1.CollectResult) error {
	if len(results) != len(b.events) {
		return fmt.Errorf("%w: %d results for %d events", errProtocol, len(results), len(b.events))
	}
	refused := b.malformed
	for i, result := range results {
		switch result.Status {
		case aftertouchv1.CollectResult_ok:
			r.progress.Accepted++
		case aftertouchv1.CollectResult_refused:
			refused = append(refused, Refused{Line: b.lines[i], EventID: result.EventId, Reason: result.Reason, Detail: result.Detail})
		default:
			return fmt.Errorf("%w: line %d is %s", errProtocol, b.lines[i], result.Status)
		}
	}
	if err := r.list(refused); err != nil {
		return err
	}
	r.progress.Offset, r.progress.NextLine = b.end, b.nextLine
	r.watch(b.end, r.size)
	if time.Since(r.saved) < saveEvery {
		return nil
	}
	r.saved = time.Now()
	return r.progress.save(r.cfg.File)
}

func (r *Replayer) list(refused []Refused) error {
	for _, line := range refused {
		r.progress.Refused[line.Reason]++
		b, err := json.Marshal(line)
		if err != nil {
			return fmt.Errorf("listing line %d: %w", line.Line, err)
		}
		n, err := r.refused.Write(append(b, '\n'))
		if err != nil {
			return fmt.Errorf("listing line %d: %w", line.Line, err)
		}
		r.progress.ListBytes += int64(n)
	}
	return nil
}
