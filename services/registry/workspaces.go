package registry

import (
	"context"
	"errors"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/registry"
)

// CreateWorkspace writes version 1 of a workspace with keys of its own, and an admin key to begin with. It needs an admin key
// of the installation's first workspace.
func (s *Service) CreateWorkspace(ctx context.Context, in *aftertouchv1.Workspace) (*aftertouchv1.Workspace, error) {
	key, snap, err := s.authorize(ctx, registry.ScopeAdmin)
	if err != nil {
		return nil, err
	}
	if !governs(key, snap) {
		return nil, scopeError()
	}
	if in.GetWorkspaceId() == "" {
		in = in.CloneVT()
		in.WorkspaceId = makeID()
	}
	t, err := s.newTarget(snap, in.GetWorkspaceId(), registry.KindWorkspace, in.GetWorkspaceId(), in)
	if err != nil {
		return nil, err
	}
	out, err := workspaceVersion(in, t)
	if err != nil {
		return nil, err
	}
	if err := s.finish(ctx, t, func(ctx context.Context) error {
		return s.store.CreateWorkspace(ctx, out, key.GetKeyId())
	}); err != nil {
		return nil, err
	}
	admin := &aftertouchv1.Key{KeyId: registry.DefaultAdminKey, Version: 1, Kind: aftertouchv1.Key_secret, Scopes: []string{"admin"}, Name: "first"}
	answer := out.CloneVT()
	err = s.finish(ctx, target{t.workspace, registry.KindKey, admin.KeyId, 1}, func(ctx context.Context) error {
		var err error
		answer.AdminKey, err = s.store.CreateKey(ctx, t.workspace, admin, "", key.GetKeyId())
		return err
	})
	return answer, err
}

// ChangeWorkspace writes the version after replaces_version. The key's own workspace only, or any for the first workspace's admin.
func (s *Service) ChangeWorkspace(ctx context.Context, in *aftertouchv1.Workspace) (*aftertouchv1.Workspace, error) {
	key, snap, err := s.authorize(ctx, registry.ScopeWrite)
	if err != nil {
		return nil, err
	}
	id, err := ownWorkspace(key, snap, in.GetWorkspaceId())
	if err != nil {
		return nil, err
	}
	t, err := s.nextTarget(snap, id, registry.KindWorkspace, id, in)
	if err != nil {
		return nil, err
	}
	out, err := workspaceVersion(in, t)
	if err != nil {
		return nil, err
	}
	return out, s.write(ctx, key, t, &aftertouchv1.RegistryRecord{Object: &aftertouchv1.RegistryRecord_Workspace{Workspace: out}})
}

// ownWorkspace returns the workspace that a call names, the key's by default. Others do not exist, for most.
func ownWorkspace(key *registry.Key, snap *registry.Snapshot, id string) (string, error) {
	if id == "" || id == key.Workspace {
		return key.Workspace, nil
	}
	if !governs(key, snap) {
		return "", notFound(registry.KindWorkspace, id)
	}
	return id, nil
}

func workspaceVersion(in *aftertouchv1.Workspace, t target) (*aftertouchv1.Workspace, error) {
	o := in.CloneVT()
	o.WorkspaceId, o.Version, o.AdminKey = t.id, t.version, ""
	if o.TimeZone == "" {
		o.TimeZone = "UTC"
	}
	var c check
	c.id("workspace_id", o.WorkspaceId)
	c.text("name", o.Name)
	c.zone("time_zone", o.TimeZone)
	if in.GetAdminKey() != "" {
		c.fail("admin_key", "is made, not taken")
	}
	return o, c.err()
}

// GetWorkspace returns a version of the key's workspace, or of any for the first workspace's admin.
func (s *Service) GetWorkspace(ctx context.Context, in *aftertouchv1.GetRequest) (*aftertouchv1.Workspace, error) {
	key, snap, err := s.authorize(ctx, registry.ScopeRead)
	if err != nil {
		return nil, err
	}
	id, err := ownWorkspace(key, snap, in.GetId())
	if err != nil {
		return nil, err
	}
	return find[*aftertouchv1.Workspace](snap, id, registry.KindWorkspace, id, in.GetVersion())
}

// ListWorkspaces returns all workspaces to an admin of the first one, and to other admins their own.
func (s *Service) ListWorkspaces(ctx context.Context, in *aftertouchv1.ListRequest) (*aftertouchv1.ListWorkspacesResponse, error) {
	key, snap, err := s.authorize(ctx, registry.ScopeAdmin)
	if err != nil {
		return nil, err
	}
	if governs(key, snap) {
		items, next, err := page[*aftertouchv1.Workspace](snap, key.Workspace, registry.KindWorkspace, in)
		return &aftertouchv1.ListWorkspacesResponse{Workspaces: items, NextPageToken: next}, err
	}
	own, err := find[*aftertouchv1.Workspace](snap, key.Workspace, registry.KindWorkspace, key.Workspace, 0)
	if err != nil {
		return nil, errors.New("BUG: a key of an unknown workspace")
	}
	return &aftertouchv1.ListWorkspacesResponse{Workspaces: []*aftertouchv1.Workspace{own}}, nil
}
