package chdb

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// ErrAlreadyOpen is returned by Open while another engine of the process is open: libchdb.so holds one data directory a process.
var ErrAlreadyOpen = errors.New("an engine is already open in this process: only one can be, close it first")

// process is what libchdb.so makes unique in a process: the loaded library and whether an engine is open.
var process struct {
	sync.Mutex
	path string
	lib  *library
	open bool
}

// Engine is the running ClickHouse engine with its endpoint.
type Engine struct {
	cfg      Config
	log      *slog.Logger
	lib      *library
	keeper   *session // keeps the engine up between statements: it shuts down with its last connection
	password string
	listener net.Listener
	server   *http.Server
	slots    chan struct{}
	served   chan struct{}
	cancel   context.CancelFunc
	closing  sync.Once
	closeErr error
}

// closeGrace is how long Close lets running statements end before it cancels them.
const closeGrace = 5 * time.Second

// Open loads the library, starts the engine on cfg.Dir and serves it on a loopback address. ctx bounds the start only; the engine runs until
// Close. Errors: ErrNoLibrary, ErrAlreadyOpen, a bad configuration, a directory in use by another process.
func Open(ctx context.Context, cfg Config, log *slog.Logger) (*Engine, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("checking engine configuration: %w", err)
	}
	cfg = cfg.withDefaults()
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("resolving engine directory: %w", err)
	}
	cfg.Dir = dir
	path, err := FindLibrary(cfg.Lib)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("starting engine: %w", err)
	}

	process.Lock()
	defer process.Unlock()
	if process.open {
		return nil, ErrAlreadyOpen
	}
	started := time.Now()
	e := &Engine{cfg: cfg, log: log, password: rand.Text(), slots: make(chan struct{}, cfg.MaxQueries), served: make(chan struct{})}
	if err := e.boot(path); err != nil {
		return nil, err
	}
	if err := e.serve(ctx); err != nil {
		e.keeper.close()
		return nil, err
	}
	process.open = true
	log.Info("clickhouse engine started", "dir", cfg.Dir, "addr", e.listener.Addr().String(), "library", path, "duration", time.Since(started))
	return e, nil
}

// boot loads the library once a process and starts the engine with its first connection.
func (e *Engine) boot(path string) error {
	if process.lib == nil {
		lib, err := load(path)
		if err != nil {
			return err
		}
		if err := setTimeZone(); err != nil {
			return err
		}
		// Before the first connection: otherwise the engine replaces the Go runtime's signal handlers.
		lib.setSignalHandlers(0)
		process.lib, process.path = lib, path
	} else if process.path != path {
		return fmt.Errorf("loading engine library %s: the process has already loaded %s", path, process.path)
	}
	e.lib = process.lib
	if err := os.MkdirAll(e.cfg.Dir, 0o700); err != nil {
		return fmt.Errorf("creating engine directory: %w", err)
	}
	if err := os.WriteFile(e.cfg.configFile(), e.cfg.serverConfig(), 0o600); err != nil {
		return fmt.Errorf("writing engine configuration: %w", err)
	}
	// Only the connection that starts the engine reads the configuration file.
	keeper, err := e.lib.open("--path="+e.cfg.Dir, "--config-file="+e.cfg.configFile())
	if err != nil {
		return fmt.Errorf("starting engine on %s: %w (is the directory in use by another process, or writable? log level information tells more)", e.cfg.Dir, err)
	}
	e.keeper = keeper
	return nil
}

// session opens a connection for one statement; every connection must name the same path.
func (e *Engine) session() (*session, error) { return e.lib.open("--path=" + e.cfg.Dir) }

func (e *Engine) serve(ctx context.Context) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", e.cfg.Addr)
	if err != nil {
		return fmt.Errorf("listening for engine clients: %w", err)
	}
	if !listener.Addr().(*net.TCPAddr).IP.IsLoopback() {
		return errors.Join(fmt.Errorf("listening for engine clients: %s is not a loopback address", listener.Addr()), listener.Close())
	}
	// Statements outlive Open's context; Close cancels them.
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	e.listener, e.cancel = listener, cancel
	e.server = &http.Server{
		Handler:           http.HandlerFunc(e.handle),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       5 * time.Minute,
		BaseContext:       func(net.Listener) context.Context { return base },
		ErrorLog:          slog.NewLogLogger(e.log.Handler(), slog.LevelWarn),
	}
	go func() {
		defer close(e.served)
		if err := e.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			e.log.Error("engine endpoint failed", "error", err)
		}
	}()
	return nil
}

// DSN returns the address of database default for clickhouse.ParseDSN, with the password of this run. Put another database into its path.
func (e *Engine) DSN() string { return e.DatabaseDSN("default") }

// DatabaseDSN returns the address of a database, which need not exist yet.
func (e *Engine) DatabaseDSN(database string) string {
	u := url.URL{
		Scheme:   "http",
		User:     url.UserPassword(userName, e.password),
		Host:     e.listener.Addr().String(),
		Path:     "/" + database,
		RawQuery: url.Values{"http_path": {rawPath}}.Encode(),
	}
	return u.String()
}

// Close lets running statements end for a few seconds, cancels the rest and shuts the engine down. What was acknowledged is on disk
// already. A second call returns the result of the first.
func (e *Engine) Close() error {
	e.closing.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), closeGrace)
		defer cancel()
		if err := e.server.Shutdown(ctx); err != nil {
			e.log.Warn("cancelling statements that outlive the engine", "grace", closeGrace)
			e.cancel()
			last, cancel := context.WithTimeout(context.Background(), closeGrace)
			defer cancel()
			if err := e.server.Shutdown(last); err != nil {
				e.closeErr = fmt.Errorf("closing engine: statements did not end: %w", err)
				return // closing the engine under a running statement would crash the process
			}
		}
		e.cancel()
		<-e.served
		process.Lock()
		defer process.Unlock()
		e.keeper.close()
		process.open = false
		e.log.Info("clickhouse engine stopped", "dir", e.cfg.Dir)
	})
	return e.closeErr
}
