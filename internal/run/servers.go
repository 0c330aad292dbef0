package run

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
)

const (
	// readHeaderTimeout bounds slow senders of headers.
	readHeaderTimeout = 5 * time.Second
	// idleTimeout ends connections that are kept alive and unused.
	idleTimeout = 2 * time.Minute
	// maxHeaderBytes admits the longest pixel address (16 KiB of event) and its cookies.
	maxHeaderBytes = 64 << 10
	// streamGrace is how long open gRPC streams may go on after draining began; their clients send again what was not answered.
	streamGrace = 3 * time.Second
)

// Servers owns the ports of a process. They are bound by Listen, so that a taken port is found before anything starts.
type Servers struct {
	config   Config
	log      *slog.Logger
	http     *http.Server
	grpc     *grpc.Server
	pprof    *http.Server
	httpPort net.Listener
	grpcPort net.Listener
	pprofAt  net.Listener
}

// Listen binds the configured ports; handler and server may be nil when the process serves no such protocol.
func Listen(ctx context.Context, c Config, log *slog.Logger, handler http.Handler, server *grpc.Server) (_ *Servers, err error) {
	s := &Servers{config: c, log: log, grpc: server}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if handler != nil {
		s.http = newHTTPServer(handler, log)
		if s.httpPort, err = listen(ctx, "http-addr", c.HTTPAddr); err != nil {
			return nil, err
		}
	}
	if server != nil {
		if s.grpcPort, err = listen(ctx, "grpc-addr", c.GRPCAddr); err != nil {
			return nil, err
		}
	}
	if c.PprofAddr != "" {
		s.pprof = newHTTPServer(profiles(), log)
		if s.pprofAt, err = listen(ctx, "pprof-addr", c.PprofAddr); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func newHTTPServer(handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

func listen(ctx context.Context, setting, addr string) (net.Listener, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listening on %s (choose another address with --%s): %w", addr, setting, err)
	}
	return l, nil
}

func (s *Servers) close() {
	for _, l := range []net.Listener{s.httpPort, s.grpcPort, s.pprofAt} {
		if l != nil {
			_ = l.Close() // nothing was accepted yet
		}
	}
}

// HTTPAddr is where HTTP is served, with the port that was bound; nil when it is not.
func (s *Servers) HTTPAddr() net.Addr { return addrOf(s.httpPort) }

// GRPCAddr is where gRPC is served, with the port that was bound; nil when it is not.
func (s *Servers) GRPCAddr() net.Addr { return addrOf(s.grpcPort) }

func addrOf(l net.Listener) net.Addr {
	if l == nil {
		return nil
	}
	return l.Addr()
}

// Run serves until ctx ends, then lets requests finish for up to half of the configured drain time.
func (s *Servers) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, h := range []struct {
		name   string
		server *http.Server
		port   net.Listener
	}{{"http", s.http, s.httpPort}, {"pprof", s.pprof, s.pprofAt}} {
		if h.server == nil {
			continue
		}
		s.log.Info("listening", "protocol", h.name, "addr", h.port.Addr().String())
		group.Go(func() error { return serveHTTP(h.server, h.port) })
		group.Go(func() error { <-ctx.Done(); return s.stopHTTP(ctx, h.server) })
	}
	if s.grpc != nil {
		s.log.Info("listening", "protocol", "grpc", "addr", s.grpcPort.Addr().String())
		group.Go(s.serveGRPC)
		group.Go(func() error { <-ctx.Done(); s.stopGRPC(); return nil })
	}
	return group.Wait()
}

func serveHTTP(server *http.Server, port net.Listener) error {
	if err := server.Serve(port); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving HTTP: %w", err)
	}
	return nil
}

func (s *Servers) serveGRPC() error {
	// It may have been stopped before it began.
	if err := s.grpc.Serve(s.grpcPort); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return fmt.Errorf("serving gRPC: %w", err)
	}
	return nil
}

func (s *Servers) stopHTTP(ctx context.Context, server *http.Server) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.config.DrainTimeout/2)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		s.log.Warn("requests were cut off while draining", "error", err)
		return server.Close()
	}
	return nil
}

// stopGRPC lets calls finish. A stream has no end of its own, so streams are cut after a while.
func (s *Servers) stopGRPC() {
	finished := make(chan struct{})
	go func() { s.grpc.GracefulStop(); close(finished) }()
	grace := time.NewTimer(min(streamGrace, s.config.DrainTimeout/2))
	defer grace.Stop()
	select {
	case <-finished:
	case <-grace.C:
		s.grpc.Stop()
		<-finished
	}
}
