package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

var (
	// errUnavailable reports that the collector did not take an event although nothing is wrong with it.
	errUnavailable = errors.New("collector unavailable")
	// errProtocol reports an answer that does not fit the request.
	errProtocol = errors.New("unexpected answer")
)

// retryable reports whether another stream may succeed where this one failed.
func retryable(err error) bool {
	if errors.Is(err, errUnavailable) || errors.Is(err, io.EOF) {
		return true
	}
	switch status.Code(err) {
	case codes.Unavailable, codes.ResourceExhausted, codes.Aborted, codes.Internal, codes.DeadlineExceeded:
		return true
	default:
		return false
	}
}

// stream sends batches until the file ends, keeping up to InFlight of them unanswered, and settles the answers in order.
func (r *Replayer) stream(ctx context.Context, in *reader) error {
	g, ctx := errgroup.WithContext(ctx)
	stream, err := r.events.CollectStream(ctx)
	if err != nil {
		return fmt.Errorf("opening the stream: %w", err)
	}
	sent := make(chan *batch, r.cfg.InFlight-1)
	g.Go(func() error {
		defer close(sent)
		return send(ctx, in, stream, sent)
	})
	g.Go(func() error {
		for b := range sent {
			if err := r.receive(stream, b); err != nil {
				return err
			}
		}
		return nil
	})
	return g.Wait()
}

func send(ctx context.Context, in *reader, stream aftertouchv1.CollectorService_CollectStreamClient, sent chan<- *batch) error {
	for {
		b, err := in.next()
		if errors.Is(err, io.EOF) {
			return stream.CloseSend()
		}
		if err != nil {
			return err
		}
		// Announced before it is sent: when sending fails, the receiver reads the stream's true status.
		select {
		case sent <- b:
		case <-ctx.Done():
			return ctx.Err()
		}
		if len(b.events) == 0 {
			continue
		}
		if err := stream.Send(&aftertouchv1.CollectStreamRequest{Events: b.events}); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return fmt.Errorf("sending: %w", err)
		}
	}
}

// receive settles one batch. Events that the collector could not take end the stream: they are sent again with all that
// follows, and those that were taken count once because their ids are the same.
func (r *Replayer) receive(stream aftertouchv1.CollectorService_CollectStreamClient, b *batch) error {
	if len(b.events) == 0 {
		return r.settle(b, nil)
	}
	answer, err := stream.Recv()
	if err != nil {
		return fmt.Errorf("receiving: %w", err)
	}
	taken := !slices.ContainsFunc(answer.Results, func(c *aftertouchv1.CollectResult) bool {
		return c.Status == aftertouchv1.CollectResult_unavailable
	})
	if !taken {
		return errUnavailable
	}
	return r.settle(b, answer.Results)
}
