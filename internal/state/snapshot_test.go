package state

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func accept(Meta) error { return nil }

func snapshot(t *testing.T, s *Store) int64 {
	t.Helper()
	next, err := s.Snapshot(t.Context())
	must(t, err)
	return next
}

func TestASnapshotRestoresTheStateOfItsOffset(t *testing.T) {
	d := testDir(t, testConfig(t))
	s := create(t, d, 0)
	commit(t, s, 1000, func(c *Batch) { must(t, c.Append(visitor("a"), []byte("1"))) })
	must(t, s.db.Flush())
	commit(t, s, 1000, func(c *Batch) { must(t, c.Append(visitor("a"), []byte("2"))) })
	if next := snapshot(t, s); next != 2 {
		t.Fatalf("snapshot of offset %d", next)
	}
	commit(t, s, 1000, func(c *Batch) { must(t, c.Append(visitor("a"), []byte("3"))) })
	closeStore(t, s)
	must(t, os.RemoveAll(d.Path(1, 0)))
	s, err := d.Restore(t.Context(), 1, 0, accept)
	must(t, err)
	wantState(t, s, visitor("a"), "12")
	// What the restored store writes must not reach the snapshot.
	commit(t, s, 1000, func(c *Batch) { must(t, c.Append(visitor("a"), []byte("4"))) })
	must(t, s.db.Flush(), s.db.Compact(t.Context(), []byte{0}, []byte{255}, false))
	closeStore(t, s)
	s, err = d.Restore(t.Context(), 1, 0, accept)
	must(t, err)
	defer closeStore(t, s)
	wantState(t, s, visitor("a"), "12")
	if s.Meta().Next != 2 {
		t.Errorf("next = %d", s.Meta().Next)
	}
}

func TestTheNewestSnapshotThatIsWholeAndAcceptedIsRestored(t *testing.T) {
	cfg := testConfig(t)
	cfg.SnapshotKeep = 5
	d := testDir(t, cfg)
	s := create(t, d, 0)
	for range 4 {
		commit(t, s, 1000, func(c *Batch) { must(t, c.Append(visitor("a"), []byte("1"))) })
		must(t, s.db.Flush())
		snapshot(t, s)
	}
	closeStore(t, s)
	// The newest is damaged, the one before unfinished.
	root := d.snapshotPath(1, 0)
	tables, err := filepath.Glob(filepath.Join(root, "00000000000000000004", contentName, "MANIFEST-*"))
	if err != nil || len(tables) == 0 {
		t.Fatal("no file to damage", err)
	}
	data, err := os.ReadFile(tables[0])
	must(t, err)
	data[len(data)/2] ^= 1
	must(t, os.WriteFile(tables[0], data, 0o640), os.Remove(filepath.Join(root, "00000000000000000003", manifestName)))
	s, err = d.Restore(t.Context(), 1, 0, accept)
	must(t, err)
	if s.Meta().Next != 2 {
		t.Errorf("restored offset %d", s.Meta().Next)
	}
	wantState(t, s, visitor("a"), "11")
	closeStore(t, s)
	refused := errors.New("not this one")
	_, err = d.Restore(t.Context(), 1, 0, func(Meta) error { return refused })
	if !errors.Is(err, ErrNoSnapshot) || !errors.Is(err, refused) {
		t.Errorf("nothing acceptable: %v", err)
	}
	if s, err = d.Open(1, 0); err != nil {
		t.Fatalf("a failed restore took the store away: %v", err)
	}
	closeStore(t, s)
}

func TestOnlyTheNewestSnapshotsAreKept(t *testing.T) {
	d := testDir(t, testConfig(t))
	s := create(t, d, 0)
	for range 5 {
		commit(t, s, 1000, func(c *Batch) { must(t, c.Append(visitor("a"), []byte("1"))) })
		snapshot(t, s)
		snapshot(t, s)
	}
	entries, err := os.ReadDir(d.snapshotPath(1, 0))
	must(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if len(names) != 2 || names[0] != "00000000000000000004" || names[1] != "00000000000000000005" {
		t.Errorf("kept %v", names)
	}
}

func TestADamagedStoreIsReplacedByASnapshot(t *testing.T) {
	d := testDir(t, testConfig(t))
	s := create(t, d, 0)
	commit(t, s, 1000, func(c *Batch) { must(t, c.Append(visitor("a"), []byte("1"))) })
	snapshot(t, s)
	must(t, s.db.Flush())
	closeStore(t, s)
	tables, err := filepath.Glob(filepath.Join(d.Path(1, 0), "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatal("no table to damage", err)
	}
	for _, table := range tables {
		data, err := os.ReadFile(table)
		must(t, err)
		for i := range data[:len(data)/2] {
			data[i] ^= 0xff
		}
		must(t, os.WriteFile(table, data, 0o640))
	}
	s, err = d.Open(1, 0)
	if err == nil {
		_, err = s.State(visitor("a"))
		if err == nil {
			t.Fatal("damage was not noticed")
		}
		closeStore(t, s)
	}
	if _, err := d.Open(1, 0); !errors.Is(err, ErrNoStore) {
		t.Fatalf("opening a damaged store: %v", err)
	}
	s, err = d.Restore(t.Context(), 1, 0, accept)
	must(t, err)
	defer closeStore(t, s)
	wantState(t, s, visitor("a"), "1")
}
