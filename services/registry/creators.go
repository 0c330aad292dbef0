package registry

import (
	"context"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/registry"
)

// CreateCreator writes version 1.
func (s *Service) CreateCreator(ctx context.Context, in *aftertouchv1.Creator) (*aftertouchv1.Creator, error) {
	return s.putCreator(ctx, in, s.newTarget)
}

// ChangeCreator writes the version after replaces_version.
func (s *Service) ChangeCreator(ctx context.Context, in *aftertouchv1.Creator) (*aftertouchv1.Creator, error) {
	return s.putCreator(ctx, in, s.nextTarget)
}

// targeter is newTarget or nextTarget.
type targeter func(snap *registry.Snapshot, workspace string, kind registry.Kind, id string, in versioned) (target, error)

func (s *Service) putCreator(ctx context.Context, in *aftertouchv1.Creator, targetOf targeter) (*aftertouchv1.Creator, error) {
	key, snap, err := s.authorize(ctx, registry.ScopeWrite)
	if err != nil {
		return nil, err
	}
	t, err := targetOf(snap, key.Workspace, registry.KindCreator, in.GetCreatorId(), in)
	if err != nil {
		return nil, err
	}
	o := in.CloneVT()
	o.CreatorId, o.Version = t.id, t.version
	if o.Kind == aftertouchv1.Creator_unspecified {
		o.Kind = aftertouchv1.Creator_creator
	}
	var c check
	c.id("creator_id", o.CreatorId)
	c.text("name", o.Name)
	c.oneOf("kind", int32(o.Kind), aftertouchv1.Creator_Kind_name)
	if err := c.err(); err != nil {
		return nil, err
	}
	return o, s.write(ctx, key, t, &aftertouchv1.RegistryRecord{Object: &aftertouchv1.RegistryRecord_Creator{Creator: o}})
}

// GetCreator returns a version.
func (s *Service) GetCreator(ctx context.Context, in *aftertouchv1.GetRequest) (*aftertouchv1.Creator, error) {
	return get[*aftertouchv1.Creator](ctx, s, registry.KindCreator, in)
}

// ListCreators returns the newest versions.
func (s *Service) ListCreators(ctx context.Context, in *aftertouchv1.ListRequest) (*aftertouchv1.ListCreatorsResponse, error) {
	items, next, err := list[*aftertouchv1.Creator](ctx, s, registry.KindCreator, in)
	return &aftertouchv1.ListCreatorsResponse{Creators: items, NextPageToken: next}, err
}
