package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

const (
	manifestName = "manifest.json"
	contentName  = "store"
	tmpSuffix    = ".tmp"
)

// manifest describes a finished snapshot; a directory without one is no snapshot.
type manifest struct {
	Version int            `json:"version"`
	Meta    Meta           `json:"meta"`
	Files   []manifestFile `json:"files"`
}

type manifestFile struct {
	Name  string `json:"name"`
	Size  int64  `json:"size"`
	CRC32 uint32 `json:"crc32c"`
}

// snapshotPath returns the directory of a partition's snapshots.
func (d *Dir) snapshotPath(epoch uint16, partition int32) string {
	return filepath.Join(d.cfg.snapshotDir(), strconv.Itoa(int(epoch)), strconv.Itoa(int(partition)))
}

// Snapshot takes a snapshot, verifies it by opening it, and removes all but the newest SnapshotKeep. It returns the next
// offset that the snapshot holds. It may run beside the store's goroutine; a snapshot of that offset that is there
// already is kept as it is.
func (s *Store) Snapshot(ctx context.Context) (int64, error) {
	next, err := s.snapshot(ctx)
	if err != nil {
		s.dir.metrics.snapshots.WithLabelValues("error").Inc()
		return 0, fmt.Errorf("taking snapshot of partition %d: %w", s.partition, err)
	}
	s.dir.metrics.snapshots.WithLabelValues("ok").Inc()
	return next, nil
}

func (s *Store) snapshot(ctx context.Context) (next int64, err error) {
	root := s.dir.snapshotPath(s.epoch, s.partition)
	if err := os.MkdirAll(root, 0o750); err != nil {
		return 0, err
	}
	tmp, err := os.MkdirTemp(root, "new-*"+tmpSuffix)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	content := filepath.Join(tmp, contentName)
	if err := s.db.Checkpoint(content, pebble.WithFlushedWAL()); err != nil {
		return 0, err
	}
	m, err := describe(ctx, content)
	if err != nil {
		return 0, err
	}
	if m.Meta, err = s.dir.probe(content, s.partition); err != nil {
		return 0, fmt.Errorf("verifying: %w", err)
	}
	final := filepath.Join(root, fmt.Sprintf("%020d", m.Meta.Next))
	if _, err := os.Stat(filepath.Join(final, manifestName)); err == nil {
		return m.Meta.Next, nil
	}
	if err := writeManifest(tmp, m); err != nil {
		return 0, err
	}
	if err := errors.Join(os.RemoveAll(final), os.Rename(tmp, final), syncDir(root)); err != nil {
		return 0, err
	}
	return m.Meta.Next, s.dir.prune(root)
}

// probe opens a snapshot's content for reading and returns its metadata. It leaves no trace: a read-only store writes
// nothing.
func (d *Dir) probe(content string, partition int32) (meta Meta, err error) {
	opts := d.options(content, partition, d.newDamage())
	opts.ReadOnly = true
	// A look at one key shall not push anything out of the shared cache.
	opts.Cache, opts.CacheSize, opts.FileCache = nil, 1<<20, nil
	db, err := pebble.Open(content, opts)
	if err != nil {
		return Meta{}, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return readMeta(db)
}

func describe(ctx context.Context, content string) (*manifest, error) {
	m := &manifest{Version: 1}
	err := filepath.WalkDir(content, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return errors.Join(err, ctx.Err())
		}
		f, err := checksum(ctx, path)
		if err != nil {
			return err
		}
		if f.Name, err = filepath.Rel(content, path); err != nil {
			return err
		}
		m.Files = append(m.Files, f)
		return nil
	})
	return m, err
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(ctx context.Context, path string) (manifestFile, error) {
	f, err := os.Open(path)
	if err != nil {
		return manifestFile{}, err
	}
	defer f.Close() //nolint:errcheck // opened for reading
	h := crc32.New(castagnoli)
	n, err := io.CopyBuffer(struct{ io.Writer }{h}, &ctxReader{ctx, f}, make([]byte, 1<<20))
	return manifestFile{Size: n, CRC32: h.Sum32()}, err
}

// ctxReader ends a long read when its context ends.
type ctxReader struct {
	ctx context.Context //nolint:containedctx // io.Reader has no other way to be cancelled
	r   io.Reader
}

func (r *ctxReader) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(b)
}

func writeManifest(dir string, m *manifest) (err error) {
	data, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(dir, manifestName), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.Write(data); err != nil {
		return err
	}
	return errors.Join(f.Sync(), syncDir(dir))
}

func syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// prune removes all but the newest snapshots, and what killed processes left of unfinished ones. A directory that several
// machines share may hold an unfinished one that is still being written, so those get a day.
func (d *Dir) prune(root string) error {
	names, err := snapshotNames(root)
	if err != nil {
		return err
	}
	left, err := filepath.Glob(filepath.Join(root, "*"+tmpSuffix))
	errs := []error{err}
	for _, path := range left {
		if info, err := os.Stat(path); err == nil && time.Since(info.ModTime()) > 24*time.Hour {
			errs = append(errs, os.RemoveAll(path))
		}
	}
	for i, name := range names {
		if i >= d.cfg.SnapshotKeep {
			errs = append(errs, os.RemoveAll(filepath.Join(root, name)))
		}
	}
	return errors.Join(errs...)
}

// snapshotNames lists a partition's snapshots, newest first.
func snapshotNames(root string) ([]string, error) {
	entries, err := os.ReadDir(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if _, err := strconv.ParseInt(e.Name(), 10, 64); err == nil && e.IsDir() {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	slices.Reverse(names)
	return names, nil
}

// SnapshotDue says whether the newest snapshot of the partition is older than SnapshotInterval. It may run beside the
// store's goroutine.
func (s *Store) SnapshotDue(now time.Time) bool {
	if s.dir.cfg.SnapshotInterval == 0 {
		return false
	}
	root := s.dir.snapshotPath(s.epoch, s.partition)
	names, err := snapshotNames(root)
	if err != nil || len(names) == 0 {
		return true
	}
	info, err := os.Stat(filepath.Join(root, names[0], manifestName))
	return err != nil || now.Sub(info.ModTime()) >= s.dir.cfg.SnapshotInterval
}
