package run

import (
	"log/slog"
	"os"
	"syscall"
	"testing"
	"time"
)

func TestFirstSignalDrainsAndSecondExits(t *testing.T) {
	exited := make(chan int, 1)
	ctx, restore := signals(t.Context(), slog.New(slog.DiscardHandler), func(code int) { exited <- code })
	defer restore()
	send := func() {
		t.Helper()
		if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
	}
	send()
	select {
	case <-ctx.Done():
	case <-time.After(5 * time.Second):
		t.Fatal("the context did not end with the first signal")
	}
	send() // to the process group, by a shell
	select {
	case code := <-exited:
		t.Fatalf("exited with %d after a copy of the first signal", code)
	case <-time.After(echo + 10*time.Millisecond):
	}
	send()
	select {
	case code := <-exited:
		if code != exitInterrupted {
			t.Errorf("exit status %d, want %d", code, exitInterrupted)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("the second signal did not end the process")
	}
}
