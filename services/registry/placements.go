package registry

import (
	"context"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/registry"
)

// CreatePlacement writes version 1.
func (s *Service) CreatePlacement(ctx context.Context, in *aftertouchv1.Placement) (*aftertouchv1.Placement, error) {
	return s.putPlacement(ctx, in, s.newTarget)
}

// ChangePlacement changes kind and name. The agreement stays.
func (s *Service) ChangePlacement(ctx context.Context, in *aftertouchv1.Placement) (*aftertouchv1.Placement, error) {
	return s.putPlacement(ctx, in, s.nextTarget)
}

func (s *Service) putPlacement(ctx context.Context, in *aftertouchv1.Placement, targetOf targeter) (*aftertouchv1.Placement, error) {
	key, snap, err := s.authorize(ctx, registry.ScopeWrite)
	if err != nil {
		return nil, err
	}
	t, err := targetOf(snap, key.Workspace, registry.KindPlacement, in.GetPlacementId(), in)
	if err != nil {
		return nil, err
	}
	o := in.CloneVT()
	o.PlacementId, o.Version = t.id, t.version
	var c check
	c.id("placement_id", o.PlacementId)
	c.text("name", o.Name)
	c.oneOf("kind", int32(o.Kind), aftertouchv1.Placement_Kind_name)
	if before, ok := snap.Placement(key.Workspace, t.id); ok {
		keep(&c, "agreement_id", &o.AgreementId, before.AgreementId)
	}
	c.agreement(snap, key.Workspace, o.AgreementId)
	if err := c.err(); err != nil {
		return nil, err
	}
	return o, s.write(ctx, key, t, &aftertouchv1.RegistryRecord{Object: &aftertouchv1.RegistryRecord_Placement{Placement: o}})
}

// GetPlacement returns a version.
func (s *Service) GetPlacement(ctx context.Context, in *aftertouchv1.GetRequest) (*aftertouchv1.Placement, error) {
	return get[*aftertouchv1.Placement](ctx, s, registry.KindPlacement, in)
}

// ListPlacements returns the newest versions.
func (s *Service) ListPlacements(ctx context.Context, in *aftertouchv1.ListRequest) (*aftertouchv1.ListPlacementsResponse, error) {
	items, next, err := list[*aftertouchv1.Placement](ctx, s, registry.KindPlacement, in)
	return &aftertouchv1.ListPlacementsResponse{Placements: items, NextPageToken: next}, err
}
