package registry

import (
	"context"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/event"
	"github.com/aftertouch-io/aftertouch/internal/registry"
)

// CreateCode writes version 1. Codes are kept trimmed and upper-cased.
func (s *Service) CreateCode(ctx context.Context, in *aftertouchv1.Code) (*aftertouchv1.Code, error) {
	return s.putCode(ctx, in, s.newTarget)
}

// ChangeCode revokes a code, or gives it to another agreement: what was sold before keeps its terms.
func (s *Service) ChangeCode(ctx context.Context, in *aftertouchv1.Code) (*aftertouchv1.Code, error) {
	return s.putCode(ctx, in, s.nextTarget)
}

func (s *Service) putCode(ctx context.Context, in *aftertouchv1.Code, targetOf targeter) (*aftertouchv1.Code, error) {
	key, snap, err := s.authorize(ctx, registry.ScopeWrite)
	if err != nil {
		return nil, err
	}
	t, err := targetOf(snap, key.Workspace, registry.KindCode, event.NormalizeCode(in.GetCode()), in)
	if err != nil {
		return nil, err
	}
	o := in.CloneVT()
	o.Code, o.Version = event.NormalizeCode(t.id), t.version
	t.id = o.Code
	if before, ok := snap.Code(key.Workspace, o.Code); ok && o.AgreementId == "" {
		o.AgreementId = before.AgreementId
	}
	var c check
	c.code("code", o.Code)
	c.agreement(snap, key.Workspace, o.AgreementId)
	if err := c.err(); err != nil {
		return nil, err
	}
	return o, s.write(ctx, key, t, &aftertouchv1.RegistryRecord{Object: &aftertouchv1.RegistryRecord_Code{Code: o}})
}

// GetCode returns a version.
func (s *Service) GetCode(ctx context.Context, in *aftertouchv1.GetRequest) (*aftertouchv1.Code, error) {
	return get[*aftertouchv1.Code](ctx, s, registry.KindCode, &aftertouchv1.GetRequest{Id: event.NormalizeCode(in.GetId()), Version: in.GetVersion()})
}

// ListCodes returns the newest versions.
func (s *Service) ListCodes(ctx context.Context, in *aftertouchv1.ListRequest) (*aftertouchv1.ListCodesResponse, error) {
	items, next, err := list[*aftertouchv1.Code](ctx, s, registry.KindCode, in)
	return &aftertouchv1.ListCodesResponse{Codes: items, NextPageToken: next}, err
}
