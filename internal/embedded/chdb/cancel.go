package chdb

import (
	"context"
	"time"
)

// killEvery is the pause between attempts to kill a statement: it may not have reached the engine's list yet, and it looks for the kill
// only between blocks.
const killEvery = 50 * time.Millisecond

// killOnDone kills the statement that bears the token when ctx ends before stop is called. stop waits until no kill is under way.
//
// The engine gives a statement its id itself, so the token is carried in the setting log_comment. KILL QUERY runs without SYNC: the list
// keeps a killed statement until its session ends, and SYNC would wait for that.
func (e *Engine) killOnDone(ctx context.Context, token string) (stop func()) {
	ended, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-ended:
			return
		case <-ctx.Done():
		}
		for {
			e.kill(token)
			select {
			case <-ended:
				return
			case <-time.After(killEvery):
			}
		}
	}()
	return func() {
		close(ended)
		<-done
	}
}

func (e *Engine) kill(token string) {
	s, err := e.session()
	if err == nil {
		defer s.close()
		_, err = s.exec("KILL QUERY WHERE Settings['log_comment'] = "+quoteString(token)+" ASYNC", "Null", params{})
	}
	if err != nil {
		e.log.Warn("killing a statement failed", "error", err)
	}
}
