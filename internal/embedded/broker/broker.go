package broker

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// Config says where the broker lives.
type Config struct {
	// Dir holds the log; it is created with mode 0700. Required. One process at a time can use it.
	Dir string
	// Addr is the loopback address that clients connect to. Default 127.0.0.1:0, a free port.
	Addr string
}

// Validate reports what is missing or out of range.
func (c Config) Validate() error {
	var errs []error
	if c.Dir == "" {
		errs = append(errs, errors.New("dir is empty: the broker needs a directory for its log"))
	}
	if c.Addr != "" {
		addr, err := net.ResolveTCPAddr("tcp", c.Addr)
		if err != nil {
			errs = append(errs, fmt.Errorf("addr: %w", err))
		} else if !addr.IP.IsLoopback() {
			errs = append(errs, fmt.Errorf("addr %s is not a loopback address: the embedded broker knows no users", c.Addr))
		}
	}
	return errors.Join(errs...)
}

// Broker is a running one-node Kafka broker.
type Broker struct {
	cluster *kfake.Cluster
	addrs   []string
	lock    *os.File
	log     *slog.Logger
	closing sync.Once
}

// Open starts the broker on what Dir holds. Errors: a bad configuration, a directory in use, a log that cannot be read, an address in use.
func Open(cfg Config, log *slog.Logger) (*Broker, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("checking broker configuration: %w", err)
	}
	if cfg.Addr == "" {
		cfg.Addr = "127.0.0.1:0"
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("creating broker directory: %w", err)
	}
	lock, err := lockDir(filepath.Join(cfg.Dir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("locking broker directory %s: %w", cfg.Dir, err)
	}
	started := time.Now()
	cluster, err := kfake.NewCluster(
		kfake.NumBrokers(1),
		kfake.ClusterID("aftertouch-embedded"),
		kfake.ListenFn(func(network, _ string) (net.Listener, error) { return net.Listen(network, cfg.Addr) }), //nolint:noctx // a start, not a request
		kfake.DataDir(filepath.Join(cfg.Dir, "log")),
		kfake.SyncWrites(),
		kfake.WithLogger(logger{log}),
		kfake.GroupMinSessionTimeout(time.Second),
	)
	if err != nil {
		lock.Close()
		return nil, fmt.Errorf("starting broker on %s: %w", cfg.Dir, err)
	}
	b := &Broker{cluster: cluster, addrs: cluster.ListenAddrs(), lock: lock, log: log}
	log.Info("embedded broker started", "dir", cfg.Dir, "addrs", b.addrs, "duration", time.Since(started))
	return b, nil
}

// Addrs returns the bootstrap addresses, host:port.
func (b *Broker) Addrs() []string { return append([]string(nil), b.addrs...) }

// Close ends all connections and writes a snapshot, so that the next start is quick. Acknowledged records are on disk without it.
func (b *Broker) Close() error {
	b.closing.Do(func() {
		b.cluster.Close()
		b.lock.Close()
		b.log.Info("embedded broker stopped")
	})
	return nil
}

// logger hands the cluster's messages to slog: warnings and errors as such, the rest at debug level.
type logger struct{ log *slog.Logger }

func (l logger) Logf(level kfake.LogLevel, format string, args ...any) {
	switch level {
	case kfake.LogLevelError:
		l.log.Error("embedded broker", "detail", fmt.Sprintf(format, args...))
	case kfake.LogLevelWarn:
		l.log.Warn("embedded broker", "detail", fmt.Sprintf(format, args...))
	}
}
