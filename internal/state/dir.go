package state

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/prometheus/client_golang/prometheus"
)

// ErrNoStore reports that there is no usable store of a partition.
var ErrNoStore = errors.New("no store")

// damageMarker is the file in a store's directory that says that its content was found damaged.
const damageMarker = "DAMAGED"

// Dir holds the stores of a process' partitions. They share one block cache and one table of open files; otherwise each
// is a store of its own, so that handing over, snapshotting and dropping one does not touch the others. Safe for
// concurrent use.
type Dir struct {
	cfg     Config
	log     *slog.Logger
	metrics *metrics
	cache   *pebble.Cache
	files   *pebble.FileCache

	mu   sync.Mutex
	open map[*Store]struct{}
}

// NewDir makes the directory when it is missing. Close it after its stores.
func NewDir(cfg Config, log *slog.Logger, reg prometheus.Registerer) (*Dir, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	for _, dir := range []string{cfg.Dir, cfg.snapshotDir()} {
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return nil, fmt.Errorf("making state directory: %w", err)
		}
	}
	d := &Dir{cfg: cfg, log: log, open: map[*Store]struct{}{}}
	d.cache = pebble.NewCache(cfg.CacheBytes)
	d.files = pebble.NewFileCache(4, cfg.MaxOpenFiles)
	m, err := newMetrics(reg, d)
	if err != nil {
		d.files.Unref()
		d.cache.Unref()
		return nil, fmt.Errorf("registering metrics: %w", err)
	}
	d.metrics = m
	return d, nil
}

// Close frees the shared memory. Every store must have been closed.
func (d *Dir) Close() {
	d.metrics.unregister()
	d.files.Unref()
	d.cache.Unref()
}

// Path returns the directory of a partition's store.
func (d *Dir) Path(epoch uint16, partition int32) string {
	return filepath.Join(d.cfg.Dir, strconv.Itoa(int(epoch)), strconv.Itoa(int(partition)))
}

// Open opens the store of a partition. It fails with ErrNoStore when there is none, when it was never written to, or
// when its content is damaged; with another error, among them that another process holds the store, it may be tried
// again.
func (d *Dir) Open(epoch uint16, partition int32) (*Store, error) {
	path := d.Path(epoch, partition)
	// The engine would make the directory.
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s", ErrNoStore, path)
	}
	if _, err := os.Stat(filepath.Join(path, damageMarker)); err == nil {
		return nil, fmt.Errorf("%w: %s is marked as damaged", ErrNoStore, path)
	}
	s, err := d.openPath(path, epoch, partition)
	switch {
	case err == nil:
		return s, nil
	case errors.Is(err, pebble.ErrDBDoesNotExist), errors.Is(err, pebble.ErrNotFound):
		return nil, fmt.Errorf("%w: %s", ErrNoStore, path)
	case pebble.IsCorruptionError(err):
		return nil, fmt.Errorf("%w: %s is damaged: %w", ErrNoStore, path, err)
	default:
		return nil, err
	}
}

// Create makes an empty store whose first record is meta.Next, in place of whatever is there.
func (d *Dir) Create(epoch uint16, partition int32, meta Meta) (*Store, error) {
	path := d.Path(epoch, partition)
	if err := setAside(path); err != nil {
		return nil, fmt.Errorf("clearing %s: %w", path, err)
	}
	dmg := d.newDamage()
	db, err := pebble.Open(path, d.options(path, partition, dmg))
	if err != nil {
		return nil, fmt.Errorf("making %s: %w", path, err)
	}
	b := db.NewBatch()
	if err := errors.Join(writeMeta(b, &meta), b.Commit(pebble.Sync)); err != nil {
		return nil, errors.Join(fmt.Errorf("making %s: %w", path, err), db.Close())
	}
	return d.newStore(&Store{db: db, path: path, epoch: epoch, partition: partition, meta: meta, damage: dmg}), nil
}

// Drop removes a partition's store; its snapshots stay. The store must be closed.
func (d *Dir) Drop(epoch uint16, partition int32) error {
	if err := os.RemoveAll(d.Path(epoch, partition)); err != nil {
		return fmt.Errorf("dropping state: %w", err)
	}
	return nil
}

func (d *Dir) openPath(path string, epoch uint16, partition int32) (*Store, error) {
	dmg := d.newDamage()
	opts := d.options(path, partition, dmg)
	opts.ErrorIfNotExists = true
	db, err := pebble.Open(path, opts)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	meta, err := readMeta(db)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening %s: %w", path, err), db.Close())
	}
	return d.newStore(&Store{db: db, path: path, epoch: epoch, partition: partition, meta: meta, damage: dmg}), nil
}

func (d *Dir) newDamage() *damage { return &damage{count: d.metrics.damaged} }

func (d *Dir) newStore(s *Store) *Store {
	s.dir = d
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open[s] = struct{}{}
	return s
}

func (d *Dir) closed(s *Store) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.open, s)
}

// setAside keeps what was at path as <path>.old, for inspection, in place of an earlier one.
func setAside(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	old := path + ".old"
	if err := os.RemoveAll(old); err != nil {
		return err
	}
	if err := os.Rename(path, old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
