package registry

import (
	"context"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/registry"
)

// CreateLink writes version 1. Link ids are unique in the installation.
func (s *Service) CreateLink(ctx context.Context, in *aftertouchv1.Link) (*aftertouchv1.Link, error) {
	return s.putLink(ctx, in, s.newTarget)
}

// ChangeLink changes the target or revokes the link. Agreement and placement stay.
func (s *Service) ChangeLink(ctx context.Context, in *aftertouchv1.Link) (*aftertouchv1.Link, error) {
	return s.putLink(ctx, in, s.nextTarget)
}

func (s *Service) putLink(ctx context.Context, in *aftertouchv1.Link, targetOf targeter) (*aftertouchv1.Link, error) {
	key, snap, err := s.authorize(ctx, registry.ScopeWrite)
	if err != nil {
		return nil, err
	}
	t, err := targetOf(snap, key.Workspace, registry.KindLink, in.GetLinkId(), in)
	if err != nil {
		return nil, err
	}
	other, taken := snap.Link(t.id)
	if taken && other.Workspace != key.Workspace {
		return nil, alreadyExists(registry.KindLink, t.id)
	}
	o := in.CloneVT()
	o.LinkId, o.Version = t.id, t.version
	var c check
	c.id("link_id", o.LinkId)
	if taken {
		keep(&c, "agreement_id", &o.AgreementId, other.AgreementId)
		keep(&c, "placement_id", &o.PlacementId, other.PlacementId)
		if o.TargetUrl == "" {
			o.TargetUrl = other.TargetUrl
		}
	}
	c.agreement(snap, key.Workspace, o.AgreementId)
	if o.PlacementId != "" {
		p, ok := snap.Placement(key.Workspace, o.PlacementId)
		if !ok || p.AgreementId != o.AgreementId {
			c.fail("placement_id", "is not a placement of this agreement")
		}
	}
	c.target("target_url", o.TargetUrl)
	if err := c.err(); err != nil {
		return nil, err
	}
	return o, s.write(ctx, key, t, &aftertouchv1.RegistryRecord{Object: &aftertouchv1.RegistryRecord_Link{Link: o}})
}

// agreement checks that a link, code or placement belongs to an agreement of the workspace.
func (c *check) agreement(snap *registry.Snapshot, workspace, id string) {
	if _, ok := snap.NewestAgreement(workspace, id); !ok {
		c.fail("agreement_id", "is not an agreement of this workspace")
	}
}

// GetLink returns a version.
func (s *Service) GetLink(ctx context.Context, in *aftertouchv1.GetRequest) (*aftertouchv1.Link, error) {
	return get[*aftertouchv1.Link](ctx, s, registry.KindLink, in)
}

// ListLinks returns the newest versions.
func (s *Service) ListLinks(ctx context.Context, in *aftertouchv1.ListRequest) (*aftertouchv1.ListLinksResponse, error) {
	items, next, err := list[*aftertouchv1.Link](ctx, s, registry.KindLink, in)
	return &aftertouchv1.ListLinksResponse{Links: items, NextPageToken: next}, err
}
