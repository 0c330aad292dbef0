package registry

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/eventlog"
	"github.com/aftertouch-io/aftertouch/internal/privacy"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Errors of writing.
var (
	// ErrConflict reports that another record of the version was first.
	ErrConflict = errors.New("version conflict")
	// ErrRefused reports a record that the ones before it, some unseen when it was checked, make invalid.
	ErrRefused = errors.New("record refused")
)

// Store writes the registry: it appends a record and reads the topic until it knows whether the record is the valid one.
type Store struct {
	view      *View
	partition *eventlog.Partition
	master    *privacy.MasterKey
	now       func() time.Time
}

// NewStore makes a writer beside a view that must be running.
func NewStore(c *eventlog.Client, view *View, master *privacy.MasterKey) *Store {
	return &Store{view: view, partition: c.Partition(eventlog.RegistryTopic, 0, ""), master: master, now: time.Now}
}

// View returns the view that the store reads back through.
func (s *Store) View() *View { return s.view }

// Now returns the writer's clock, in whole milliseconds.
func (s *Store) Now() time.Time { return s.now().UTC().Truncate(time.Millisecond) }

// Write appends a record and returns when the view has applied it as the valid one of its version. It fails with ErrConflict
// when another record was first, and with ErrRefused when a record before it rules it out. Written time and write id are
// filled in when absent.
func (s *Store) Write(ctx context.Context, workspace string, r *aftertouchv1.RegistryRecord) error {
	if r.WrittenTime == nil {
		r.WrittenTime = timestamppb.New(s.Now())
	}
	r.WriteId = randomID()
	k, err := keyOf(workspace, r)
	if err != nil {
		return fmt.Errorf("writing to the registry: %w", err)
	}
	value, err := r.MarshalVT()
	if err != nil {
		return fmt.Errorf("writing %s: %w", k, err)
	}
	offset, err := s.partition.Append(ctx, []byte(k.String()), value)
	if err != nil {
		return fmt.Errorf("writing %s: %w", k, err)
	}
	if err := s.view.WaitFor(ctx, offset+1); err != nil {
		return fmt.Errorf("reading back %s: %w", k, err)
	}
	return s.view.Snapshot().checkWritten(k, r.WriteId)
}

func (s *Snapshot) checkWritten(k RecordKey, writeID string) error {
	switch got, ok := s.writeID(k); {
	case ok && got == writeID:
		return nil
	case ok:
		return fmt.Errorf("writing %s: %w", k, ErrConflict)
	default:
		return fmt.Errorf("writing %s: %w", k, ErrRefused)
	}
}

// writeID returns the write id of the valid record of a version.
func (s *Snapshot) writeID(k RecordKey) (string, bool) {
	object := objectKey{k.Workspace, k.ID}
	switch k.Kind {
	case KindWorkspace:
		return writeIDOf(s.workspaces, k.ID, k.Version)
	case KindKey:
		return writeIDOf(s.keys, object, k.Version)
	case KindCreator:
		return writeIDOf(s.creators, object, k.Version)
	case KindCampaign:
		return writeIDOf(s.campaigns, object, k.Version)
	case KindAgreement:
		return writeIDOf(s.agreements, object, k.Version)
	case KindLink:
		return writeIDOf(s.links, k.ID, k.Version)
	case KindCode:
		return writeIDOf(s.codes, object, k.Version)
	case KindPlacement:
		return writeIDOf(s.placements, object, k.Version)
	case KindEpoch:
		return writeIDOf(s.epochs, k.ID, k.Version)
	default:
		return "", false
	}
}

func writeIDOf[K comparable, V any](t *table[K, history[V]], k K, n uint32) (string, bool) {
	h, _ := t.get(k)
	if n == 0 || uint64(n) > uint64(len(h)) {
		return "", false
	}
	return h[n-1].writeID, true
}

func randomID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
