package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	adminKey = "ats_e2e_admin_key_0123456789"
	webKey   = "atw_e2e_web_key_0123456789"
	// startTimeout covers the engine's start on a busy machine.
	startTimeout = 90 * time.Second
	stopTimeout  = 60 * time.Second
)

// binary is the program under test, built once.
var binary string

func TestMain(m *testing.M) {
	if statement := os.Getenv(sqlEnv); statement != "" {
		if err := answer(os.Getenv(dirEnv), statement); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "aftertouch-e2e-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "aftertouch")
		build := exec.Command("go", "build", "-o", binary, "../../cmd/aftertouch")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			fmt.Fprintln(os.Stderr, "building the binary:", err)
			return 1
		}
		return m.Run()
	}())
}

// server is one process of the binary.
type server struct {
	command *exec.Cmd
	http    string // base address
	grpc    string // host:port
	exited  chan struct{}
	err     error // of the process, valid once exited is closed
	mu      sync.Mutex
	output  bytes.Buffer
}

// start runs `aftertouch all` on the data directory and waits until it is ready.
func start(t testing.TB, dir string, args ...string) *server {
	t.Helper()
	s := spawn(t, append([]string{"all", "--data-dir", dir, "--bootstrap-admin-key", adminKey, "--bootstrap-web-key", webKey}, args...)...)
	s.awaitReady(t)
	return s
}

// awaitReady returns when the process says that it is ready.
func (s *server) awaitReady(t testing.TB) {
	t.Helper()
	deadline := time.Now().Add(startTimeout)
	for time.Now().Before(deadline) {
		select {
		case <-s.exited:
			t.Fatalf("the server ended while starting: %v\n%s", s.err, s.log())
		case <-time.After(50 * time.Millisecond):
		}
		if s.address() && s.ready() {
			return
		}
	}
	t.Fatalf("the server is not ready after %s:\n%s", startTimeout, s.log())
}

// spawn runs a command that serves on free ports, and returns at once.
func spawn(t testing.TB, args ...string) *server {
	t.Helper()
	return launch(t, append(args, "--http-addr=127.0.0.1:0", "--grpc-addr=127.0.0.1:0", "--log-format=json")...)
}

// launch runs a command and returns at once; the process is killed when the test ends.
func launch(t testing.TB, args ...string) *server {
	t.Helper()
	s := &server{exited: make(chan struct{})}
	s.command = exec.Command(binary, args...)
	s.command.Stdout = writerFunc(s.write)
	s.command.Stderr = s.command.Stdout
	if err := s.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { s.err = s.command.Wait(); close(s.exited) }()
	t.Cleanup(func() {
		_ = s.command.Process.Kill() // it may have ended
		<-s.exited
		if t.Failed() {
			t.Logf("output of process %d:\n%s", s.command.Process.Pid, tail(s.log(), 8000))
		}
	})
	return s
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

func (s *server) write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.output.Write(b)
}

func (s *server) log() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.output.String()
}

func tail(text string, n int) string { return text[max(0, len(text)-n):] }

// address finds the bound ports in the log.
func (s *server) address() bool {
	lines := bufio.NewScanner(strings.NewReader(s.log()))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line struct{ Msg, Protocol, Addr string }
		if json.Unmarshal(lines.Bytes(), &line) != nil || line.Msg != "listening" {
			continue
		}
		switch line.Protocol {
		case "http":
			s.http = "http://" + line.Addr
		case "grpc":
			s.grpc = line.Addr
		}
	}
	return s.http != "" && s.grpc != ""
}

func (s *server) ready() bool {
	response, err := http.Get(s.http + "/ready")
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// terminate sends SIGTERM and returns the exit status.
func (s *server) terminate(t testing.TB) int {
	t.Helper()
	if err := s.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatalf("sending SIGTERM: %v\n%s", err, s.log())
	}
	return s.wait(t)
}

// wait returns the exit status.
func (s *server) wait(t testing.TB) int {
	t.Helper()
	select {
	case <-s.exited:
	case <-time.After(stopTimeout):
		t.Fatalf("the process has not ended after %s:\n%s", stopTimeout, tail(s.log(), 8000))
	}
	var exit *exec.ExitError
	if errors.As(s.err, &exit) {
		return exit.ExitCode()
	}
	if s.err != nil {
		t.Fatal(s.err)
	}
	return 0
}

// call sends a request with the admin key, fails the test on another status than want, and decodes JSON into out.
func (s *server) call(t testing.TB, method, path string, in, out any, want int) {
	t.Helper()
	status, body := s.try(t, method, path, in)
	if status != want {
		t.Fatalf("%s %s: %d %s, want %d", method, path, status, body, want)
	}
	if out == nil {
		return
	}
	if err := json.Unmarshal(body, out); err != nil {
		t.Fatalf("%s %s: %v in %s", method, path, err, body)
	}
}

func (s *server) try(t testing.TB, method, path string, in any) (int, []byte) {
	t.Helper()
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		body = bytes.NewReader(text)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, s.http+path, body)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+adminKey)
	request.Header.Set("Content-Type", "application/json")
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return response.StatusCode, text
}
