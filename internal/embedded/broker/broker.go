package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
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
	// RetentionInterval is how often records older than their topic's retention.ms are deleted. Default 10 min.
	RetentionInterval time.Duration
}

// Validate reports what is missing or out of range.
func (c Config) Validate() error {
	var errs []error
	if c.Dir == "" {
		errs = append(errs, errors.New("dir is empty: the broker needs a directory for its log"))
	}
	if c.RetentionInterval < 0 {
		errs = append(errs, fmt.Errorf("retention_interval is %s: it must not be negative", c.RetentionInterval))
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
	cancel  context.CancelFunc
	retired chan struct{} // closed when retention has ended

	closing  sync.Once
	closeErr error
}

const (
	// segmentBytes is the size of the log's files. A start reads one file of each partition into memory at a time.
	segmentBytes = 32 << 20
	// never is a pause of a hundred years, in milliseconds.
	never = "3153600000000"
)

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
	started, data := time.Now(), filepath.Join(cfg.Dir, "log")
	recovered, err := recoverSnapshots(data)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("recovering the log in %s: %w", cfg.Dir, err), lock.Close())
	}
	cluster, err := kfake.NewCluster(
		kfake.NumBrokers(1),
		kfake.ClusterID("aftertouch-embedded"),
		kfake.ListenFn(func(network, _ string) (net.Listener, error) { return net.Listen(network, cfg.Addr) }), //nolint:noctx // a start, not a request
		kfake.DataDir(data),
		kfake.SyncWrites(),
		kfake.WithLogger(logger{log}),
		kfake.GroupMinSessionTimeout(time.Second),
		kfake.BrokerConfigs(map[string]string{
			"log.segment.bytes":      strconv.Itoa(segmentBytes),
			"log.cleaner.backoff.ms": never, // retention is ours; see retention.go
		}),
	)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting broker on %s: %w", cfg.Dir, err), lock.Close())
	}
	b := &Broker{cluster: cluster, addrs: cluster.ListenAddrs(), lock: lock, log: log}
	every := cfg.RetentionInterval
	if every == 0 {
		every = defaultRetentionInterval
	}
	ctx, cancel := context.WithCancel(context.Background())
	b.cancel, b.retired = cancel, make(chan struct{})
	go func() {
		defer close(b.retired)
		if err := b.retain(ctx, every); err != nil {
			log.Error("retention of the embedded broker ended", "error", err)
		}
	}()
	log.Info("embedded broker started", "dir", cfg.Dir, "addrs", b.addrs, "recovered_partitions", recovered, "duration", time.Since(started))
	return b, nil
}

// Addrs returns the bootstrap addresses, host:port.
func (b *Broker) Addrs() []string { return append([]string(nil), b.addrs...) }

// Close ends all connections and writes a snapshot, so that the next start is quick. Acknowledged records are on disk without it.
func (b *Broker) Close() error {
	b.closing.Do(func() {
		b.cancel()
		<-b.retired
		b.cluster.Close()
		b.closeErr = b.lock.Close()
		b.log.Info("embedded broker stopped")
	})
	return b.closeErr
}

// logger hands the cluster's warnings and errors to slog. The rest is a line for each request.
type logger struct{ log *slog.Logger }

func (l logger) Logf(level kfake.LogLevel, format string, args ...any) {
	switch level {
	case kfake.LogLevelError:
		l.log.Error("embedded broker", "detail", fmt.Sprintf(format, args...))
	case kfake.LogLevelWarn:
		l.log.Warn("embedded broker", "detail", fmt.Sprintf(format, args...))
	default:
	}
}
