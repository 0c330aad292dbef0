package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// ErrNoSnapshot reports that no snapshot can be used.
var ErrNoSnapshot = errors.New("no usable snapshot")

// Restore puts the newest snapshot that is whole and that usable accepts in place of a partition's store, and opens it.
// It fails with ErrNoSnapshot when there is none.
func (d *Dir) Restore(ctx context.Context, epoch uint16, partition int32, usable func(Meta) error) (*Store, error) {
	root := d.snapshotPath(epoch, partition)
	names, err := snapshotNames(root)
	if err != nil {
		return nil, fmt.Errorf("listing snapshots: %w", err)
	}
	reasons := []error{ErrNoSnapshot}
	for _, name := range names {
		path := filepath.Join(root, name)
		m, err := verify(ctx, path)
		if err == nil {
			err = usable(m.Meta)
		}
		if err != nil {
			d.metrics.restores.WithLabelValues("refused").Inc()
			d.log.Warn("snapshot is not usable", "partition", partition, "path", path, "error", err)
			reasons = append(reasons, fmt.Errorf("%s: %w", path, err))
			continue
		}
		s, err := d.install(path, m, epoch, partition)
		if err != nil {
			d.metrics.restores.WithLabelValues("error").Inc()
			return nil, fmt.Errorf("restoring %s: %w", path, err)
		}
		d.metrics.restores.WithLabelValues("ok").Inc()
		return s, nil
	}
	return nil, fmt.Errorf("restoring partition %d: %w", partition, errors.Join(reasons...))
}

// verify reads a snapshot whole and compares every file with the manifest.
func verify(ctx context.Context, path string) (*manifest, error) {
	data, err := os.ReadFile(filepath.Join(path, manifestName))
	if err != nil {
		return nil, err
	}
	m := &manifest{}
	if err := json.Unmarshal(data, m); err != nil {
		return nil, fmt.Errorf("reading manifest: %w", err)
	}
	if m.Version != 1 {
		return nil, fmt.Errorf("manifest is of version %d", m.Version)
	}
	for _, want := range m.Files {
		if !filepath.IsLocal(want.Name) {
			return nil, fmt.Errorf("manifest names %q", want.Name)
		}
		got, err := checksum(ctx, filepath.Join(path, contentName, want.Name))
		if err != nil {
			return nil, err
		}
		if got.Size != want.Size || got.CRC32 != want.CRC32 {
			return nil, fmt.Errorf("file %s is damaged", want.Name)
		}
	}
	return m, nil
}

// install builds the store beside its place and renames it, so that a crash leaves the old store or the new one.
func (d *Dir) install(path string, m *manifest, epoch uint16, partition int32) (*Store, error) {
	target := d.Path(epoch, partition)
	tmp := target + tmpSuffix
	if err := errors.Join(os.RemoveAll(tmp), os.MkdirAll(tmp, 0o750)); err != nil {
		return nil, err
	}
	for _, f := range m.Files {
		to := filepath.Join(tmp, f.Name)
		if err := os.MkdirAll(filepath.Dir(to), 0o750); err != nil {
			return nil, err
		}
		if err := linkOrCopy(filepath.Join(path, contentName, f.Name), to); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(syncDir(tmp), setAside(target)); err != nil {
		return nil, err
	}
	if err := errors.Join(os.Rename(tmp, target), syncDir(filepath.Dir(target))); err != nil {
		return nil, err
	}
	return d.openPath(target, epoch, partition)
}

// linkOrCopy links table files, which are never written again, and copies everything else.
func linkOrCopy(from, to string) error {
	if strings.HasSuffix(from, ".sst") || strings.HasSuffix(from, ".blob") {
		if os.Link(from, to) == nil {
			return nil
		}
	}
	return copyFile(from, to)
}

func copyFile(from, to string) (err error) {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close() //nolint:errcheck // opened for reading
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dst.Close()) }()
	if _, err := io.Copy(dst, src); err != nil {
		return err
	}
	return dst.Sync()
}
