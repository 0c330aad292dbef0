package collector

import (
	"context"
	"errors"
	"io"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/apijson"
	"golang.org/x/time/rate"
	"google.golang.org/grpc"
)

// answer is a batch of a stream on its way to its response.
type answer struct {
	ready    chan struct{} // closed when response is set
	response response
}

// handleStream answers the batches of a stream in order, several of them in flight. A client that sends faster than the log
// takes is held back by its own flow control: nothing is read while the window or the byte budget is full.
func (c *Collector) handleStream(stream grpc.ServerStream) error {
	c.inFlight.add()
	defer c.inFlight.done()
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	answers := make(chan *answer, c.cfg.StreamWindow)
	received := make(chan error, 1)
	c.inFlight.add()
	go func() {
		defer c.inFlight.done()
		defer close(answers)
		received <- c.receive(ctx, stream, answers)
	}()
	if err := c.respond(stream, answers); err != nil {
		if errors.Is(err, errDraining) {
			return apijson.StatusError((&problem{reason: reasonDraining}).grpcCode(), reasonDraining, details[reasonDraining])
		}
		return err
	}
	err := <-received
	if p := (*problem)(nil); errors.As(err, &p) {
		return apijson.StatusError(p.grpcCode(), string(p.reason), p.detail)
	}
	return err
}

// respond sends the answers in order until there will be none. When the collector drains, it sends those that are there.
func (c *Collector) respond(stream grpc.ServerStream, answers <-chan *answer) error {
	draining := c.draining
	for {
		var a *answer
		var more bool
		select {
		case a, more = <-answers:
		case <-draining:
			draining = nil
			select {
			case a, more = <-answers:
			default:
				return errDraining
			}
		}
		if !more {
			return nil
		}
		<-a.ready
		if err := stream.SendMsg(a.response); err != nil {
			return err
		}
		if draining == nil && len(answers) == 0 {
			return errDraining
		}
	}
}

// receive reads batches and sets them going until the client has no more.
func (c *Collector) receive(ctx context.Context, stream grpc.ServerStream, answers chan<- *answer) error {
	key, origin := credentials(ctx)
	in := new(request)
	defer in.free()
	for {
		in.free()
		if err := stream.RecvMsg(in); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		// Each batch anew: a key may be revoked while its stream is open.
		from, k, p := c.admit(key, origin, 0)
		if p != nil {
			c.reject(k, overStream, p, max(1, len(in.events)))
			return p
		}
		a := &answer{ready: make(chan struct{})}
		if in.problem != nil {
			c.reject(k, overStream, in.problem, max(1, len(in.events)))
			a.response = refuseAll(in)
			close(a.ready)
		} else if err := c.begin(ctx, from, in, a); err != nil {
			return err
		}
		select {
		case answers <- a:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// begin waits for room, validates the batch and lets it be appended.
func (c *Collector) begin(ctx context.Context, from *caller, in *request, a *answer) error {
	if err := waitLimit(ctx, c.limits.of(from.key), len(in.events)); err != nil {
		return err
	}
	size := int64(in.size)
	if err := c.budget.Acquire(ctx, size); err != nil {
		return err
	}
	b := c.newBatch(from, overStream)
	for _, raw := range in.events {
		b.addProto(raw)
	}
	c.inFlight.add()
	go func() {
		defer c.inFlight.done()
		defer c.budget.Release(size)
		defer b.release()
		b.commit(ctx)
		a.response = newResponse(b.results)
		close(a.ready)
	}()
	return nil
}

// waitLimit holds a stream to its key's rate.
func waitLimit(ctx context.Context, l *rate.Limiter, n int) error {
	if l == nil {
		return nil
	}
	return l.WaitN(ctx, n)
}

// refuseAll answers a batch that is not taken as a whole; the stream goes on.
func refuseAll(in *request) response {
	results := make([]result, max(1, len(in.events)))
	for i := range results {
		results[i] = result{status: aftertouchv1.CollectResult_refused, reason: string(in.problem.reason), detail: in.problem.detail}
	}
	return newResponse(results)
}
