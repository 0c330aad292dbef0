package registry

import (
	"context"
	"strings"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/registry"
)

const (
	maxHalfLife = 365 // days
	maxCounting = 100
)

// CreateCampaign writes version 1.
func (s *Service) CreateCampaign(ctx context.Context, in *aftertouchv1.Campaign) (*aftertouchv1.Campaign, error) {
	return s.putCampaign(ctx, in, s.newTarget)
}

// ChangeCampaign writes the version after replaces_version. Once the campaign has an agreement, only its name can differ.
func (s *Service) ChangeCampaign(ctx context.Context, in *aftertouchv1.Campaign) (*aftertouchv1.Campaign, error) {
	return s.putCampaign(ctx, in, s.nextTarget)
}

func (s *Service) putCampaign(ctx context.Context, in *aftertouchv1.Campaign, targetOf targeter) (*aftertouchv1.Campaign, error) {
	key, snap, err := s.authorize(ctx, registry.ScopeWrite)
	if err != nil {
		return nil, err
	}
	t, err := targetOf(snap, key.Workspace, registry.KindCampaign, in.GetCampaignId(), in)
	if err != nil {
		return nil, err
	}
	o := in.CloneVT()
	o.CampaignId, o.Version = t.id, t.version
	o.Currency = strings.ToUpper(strings.TrimSpace(o.Currency))
	if o.TimeZone == "" {
		w, _ := snap.Workspace(key.Workspace)
		o.TimeZone = w.GetTimeZone()
	}
	if err := checkCampaign(o); err != nil {
		return nil, err
	}
	o.Start, o.End = wholeMs(o.Start), wholeMs(o.End)
	if before, ok := snap.Campaign(key.Workspace, t.id); ok && snap.HasAgreement(key.Workspace, t.id) && !registry.SameTerms(before, o) {
		return nil, campaignFixed(t.id)
	}
	return o, s.write(ctx, key, t, &aftertouchv1.RegistryRecord{Object: &aftertouchv1.RegistryRecord_Campaign{Campaign: o}})
}

func checkCampaign(o *aftertouchv1.Campaign) error {
	var c check
	c.id("campaign_id", o.CampaignId)
	c.text("name", o.Name)
	if o.Start == nil {
		c.fail("start", "is needed")
	}
	c.time("start", o.Start)
	c.time("end", o.End)
	if o.Start != nil && o.End != nil && !o.End.AsTime().After(o.Start.AsTime()) {
		c.fail("end", "must be after start")
	}
	c.currency("currency", o.Currency)
	c.zone("time_zone", o.TimeZone)
	c.duration("half_life", o.HalfLife, maxHalfLife)
	if len(o.Counting) > maxCounting {
		c.fail("counting", "has over 100 actions")
	}
	for action, counting := range o.Counting {
		c.action("counting", action)
		c.oneOf("counting", int32(counting), aftertouchv1.Campaign_Counting_name)
	}
	return c.err()
}

// GetCampaign returns a version.
func (s *Service) GetCampaign(ctx context.Context, in *aftertouchv1.GetRequest) (*aftertouchv1.Campaign, error) {
	return get[*aftertouchv1.Campaign](ctx, s, registry.KindCampaign, in)
}

// ListCampaigns returns the newest versions.
func (s *Service) ListCampaigns(ctx context.Context, in *aftertouchv1.ListRequest) (*aftertouchv1.ListCampaignsResponse, error) {
	items, next, err := list[*aftertouchv1.Campaign](ctx, s, registry.KindCampaign, in)
	return &aftertouchv1.ListCampaignsResponse{Campaigns: items, NextPageToken: next}, err
}
