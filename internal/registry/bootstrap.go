package registry

import (
	"context"
	"errors"
	"fmt"
	"time"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/eventlog"
	"github.com/aftertouch-io/aftertouch/internal/privacy"
)

// Ids of what Bootstrap makes.
const (
	DefaultWorkspace = "default"
	DefaultAdminKey  = "admin"
	DefaultWebKey    = "web"
)

// BootstrapOptions say what an empty registry begins with.
type BootstrapOptions struct {
	// Partitions of the events topic of epoch 1.
	Partitions int
	// AdminKey and WebKey are made when empty.
	AdminKey, WebKey string
}

// BootstrapKeys are the keys that Bootstrap wrote; empty when the registry held a workspace already.
type BootstrapKeys struct{ Workspace, AdminKey, WebKey string }

// Bootstrap writes, when the registry holds no epoch, epoch 1 of the events topic, and, when it holds no workspace, the
// workspace "default" with an admin key of all scopes and a web key of all origins. The view must be ready. Several processes
// may do it at once: one of them writes each, and only that one returns it.
func Bootstrap(ctx context.Context, s *Store, opts BootstrapOptions) (BootstrapKeys, error) {
	if err := s.view.WaitReady(ctx); err != nil {
		return BootstrapKeys{}, err
	}
	if _, err := s.EnsureEpoch(ctx, opts.Partitions); err != nil {
		return BootstrapKeys{}, err
	}
	if snap := s.view.Snapshot(); snap.Workspaces() > 0 && !unfinished(snap) {
		return BootstrapKeys{}, nil
	}
	return s.bootstrapWorkspace(ctx, opts)
}

// unfinished reports whether a bootstrap ended before its last record, the admin key, so that nobody could ever log in.
func unfinished(s *Snapshot) bool {
	_, isDefault := s.Workspace(DefaultWorkspace)
	_, hasAdmin := s.Key(DefaultWorkspace, DefaultAdminKey)
	return isDefault && !hasAdmin && s.workspaces.size == 1 && s.keys.size <= 1
}

func (s *Store) bootstrapWorkspace(ctx context.Context, opts BootstrapOptions) (BootstrapKeys, error) {
	for _, k := range []string{opts.AdminKey, opts.WebKey} {
		if k != "" {
			if err := privacy.CheckAPIKey(k); err != nil {
				return BootstrapKeys{}, fmt.Errorf("checking the given bootstrap key: %w", err)
			}
		}
	}
	workspace := &aftertouchv1.Workspace{WorkspaceId: DefaultWorkspace, Version: 1, Name: "Default", TimeZone: "UTC"}
	if _, ok := s.view.Workspace(DefaultWorkspace); !ok {
		if err := s.CreateWorkspace(ctx, workspace, ""); err != nil && !errors.Is(err, ErrConflict) {
			return BootstrapKeys{}, fmt.Errorf("bootstrapping: %w", err)
		}
	}
	admin := &aftertouchv1.Key{KeyId: DefaultAdminKey, Version: 1, Kind: aftertouchv1.Key_secret, Scopes: []string{"admin"}, Name: "bootstrap"}
	web := &aftertouchv1.Key{KeyId: DefaultWebKey, Version: 1, Kind: aftertouchv1.Key_web, Scopes: []string{"collect"}, Origins: []string{"*"}, Name: "bootstrap"}
	webKey, err := s.CreateKey(ctx, DefaultWorkspace, web, opts.WebKey, "")
	if err != nil && !errors.Is(err, ErrConflict) {
		return BootstrapKeys{}, fmt.Errorf("bootstrapping: %w", err)
	}
	adminKey, err := s.CreateKey(ctx, DefaultWorkspace, admin, opts.AdminKey, "")
	if errors.Is(err, ErrConflict) {
		return BootstrapKeys{}, nil // another process was first
	}
	if err != nil {
		return BootstrapKeys{}, fmt.Errorf("bootstrapping: %w", err)
	}
	return BootstrapKeys{Workspace: DefaultWorkspace, AdminKey: adminKey, WebKey: webKey}, nil
}

// CreateWorkspace writes version 1 of a workspace with new keys of its own.
func (s *Store) CreateWorkspace(ctx context.Context, w *aftertouchv1.Workspace, writtenBy string) error {
	return s.Write(ctx, w.WorkspaceId, &aftertouchv1.RegistryRecord{
		WrittenBy:  writtenBy,
		SealedKeys: s.master.SealWorkspaceKeys(w.WorkspaceId, privacy.NewWorkspaceKeys()),
		Object:     &aftertouchv1.RegistryRecord_Workspace{Workspace: w},
	})
}

// CreateKey writes version 1 of a key and returns the key itself, which is stored nowhere: secret, or a new one when empty.
func (s *Store) CreateKey(ctx context.Context, workspace string, k *aftertouchv1.Key, secret, writtenBy string) (string, error) {
	if secret == "" {
		prefix := privacy.SecretKeyPrefix
		if k.Kind == aftertouchv1.Key_web {
			prefix = privacy.WebKeyPrefix
		}
		secret = privacy.NewAPIKey(prefix)
	}
	hash := privacy.HashAPIKey(secret)
	return secret, s.Write(ctx, workspace, &aftertouchv1.RegistryRecord{
		WrittenBy: writtenBy, KeyHash: hash[:], Object: &aftertouchv1.RegistryRecord_Key{Key: k},
	})
}

// EnsureEpoch returns the newest epoch; it writes epoch 1 when there is none. It fails when the registry's epoch has another
// number of partitions than the one asked for (0 asks for none).
func (s *Store) EnsureEpoch(ctx context.Context, partitions int) (eventlog.EpochInfo, error) {
	e, ok := s.view.Epoch()
	if !ok {
		if partitions < 1 {
			return e, errors.New("making epoch 1: a number of partitions is needed")
		}
		err := s.Write(ctx, installation, &aftertouchv1.RegistryRecord{Object: &aftertouchv1.RegistryRecord_Epoch{Epoch: &aftertouchv1.Epoch{
			Number: 1, Topic: eventlog.EpochTopic(1), Partitions: int32(partitions), EpochId: randomID()[:16],
		}}})
		if err != nil && !errors.Is(err, ErrConflict) {
			return e, fmt.Errorf("making epoch 1: %w", err)
		}
		e, _ = s.view.Epoch()
	}
	if partitions > 0 && e.Partitions != partitions {
		return e, fmt.Errorf("epoch %d has %d partitions, not %d; remedy: set --partitions=%d", e.Number, e.Partitions, partitions, e.Partitions)
	}
	return e, nil
}

// WaitEpoch returns the newest epoch once there is one, or the error of ctx: for services that do not bootstrap.
func (v *View) WaitEpoch(ctx context.Context) (eventlog.EpochInfo, error) {
	for {
		at := v.Offset()
		if e, ok := v.Epoch(); ok {
			return e, nil
		}
		wait, cancel := context.WithTimeout(ctx, time.Second)
		err := v.WaitFor(wait, at+1)
		cancel()
		if err != nil && ctx.Err() != nil {
			return eventlog.EpochInfo{}, fmt.Errorf("waiting for the first epoch: %w", ctx.Err())
		}
	}
}
