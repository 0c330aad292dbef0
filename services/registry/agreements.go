package registry

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/registry"
)

// maxWindow is registry.MaxWindow in days (A4).
const maxWindow = int(registry.MaxWindow / (24 * time.Hour))

// CreateAgreement writes version 1, which may start in the past; by default it starts with the campaign.
func (s *Service) CreateAgreement(ctx context.Context, in *aftertouchv1.Agreement) (*aftertouchv1.Agreement, error) {
	return s.putAgreement(ctx, in, s.newTarget)
}

// ChangeAgreement writes the version after replaces_version, which starts now, by default, or later. It replaces the versions
// before it from then on, also those that have not begun by then.
func (s *Service) ChangeAgreement(ctx context.Context, in *aftertouchv1.Agreement) (*aftertouchv1.Agreement, error) {
	return s.putAgreement(ctx, in, s.nextTarget)
}

func (s *Service) putAgreement(ctx context.Context, in *aftertouchv1.Agreement, targetOf targeter) (*aftertouchv1.Agreement, error) {
	key, snap, err := s.authorize(ctx, registry.ScopeWrite)
	if err != nil {
		return nil, err
	}
	t, err := targetOf(snap, key.Workspace, registry.KindAgreement, in.GetAgreementId(), in)
	if err != nil {
		return nil, err
	}
	o := in.CloneVT()
	o.AgreementId, o.Version = t.id, t.version
	now := timestamppb.New(s.store.Now())
	var c check
	checkParties(&c, snap, key.Workspace, o)
	checkStart(&c, snap, key.Workspace, o, now)
	checkAgreement(&c, o)
	if err := c.err(); err != nil {
		return nil, err
	}
	return o, s.write(ctx, key, t, &aftertouchv1.RegistryRecord{WrittenTime: now, Object: &aftertouchv1.RegistryRecord_Agreement{Agreement: o}})
}

// checkParties checks campaign and creator, which stay the same for all versions.
func checkParties(c *check, snap *registry.Snapshot, workspace string, o *aftertouchv1.Agreement) {
	if before, ok := snap.NewestAgreement(workspace, o.AgreementId); ok {
		keep(c, "campaign_id", &o.CampaignId, before.CampaignId)
		keep(c, "creator_id", &o.CreatorId, before.CreatorId)
		return
	}
	c.id("agreement_id", o.AgreementId)
	if _, ok := snap.Campaign(workspace, o.CampaignId); !ok {
		c.fail("campaign_id", "is not a campaign of this workspace")
	}
	if _, ok := snap.Creator(workspace, o.CreatorId); !ok {
		c.fail("creator_id", "is not a creator of this workspace")
	}
}

// keep checks that a field which cannot change is absent or the same, and fills it in.
func keep(c *check, field string, value *string, before string) {
	if *value != "" && *value != before {
		c.fail(field, "cannot be changed")
	}
	*value = before
}

func checkStart(c *check, snap *registry.Snapshot, workspace string, o *aftertouchv1.Agreement, now *timestamppb.Timestamp) {
	c.time("effective_from", o.EffectiveFrom)
	o.EffectiveFrom = wholeMs(o.EffectiveFrom)
	campaign, ok := snap.Campaign(workspace, o.CampaignId)
	switch {
	case o.EffectiveFrom == nil && o.Version == 1 && ok:
		o.EffectiveFrom = campaign.Start
	case o.EffectiveFrom == nil:
		o.EffectiveFrom = now
	case o.Version > 1 && o.EffectiveFrom.AsTime().Before(now.AsTime()):
		c.fail("effective_from", "of a later version cannot be in the past; leave it out for now")
	}
}

func checkAgreement(c *check, o *aftertouchv1.Agreement) {
	if obj := o.Objective; obj != nil {
		c.action("objective.action", obj.Action)
		c.notNegative("objective.target_count", obj.TargetCount)
		c.notNegative("objective.target_value_minor", obj.TargetValueMinor)
	}
	w := o.GetWindows()
	c.duration("windows.click", w.GetClick(), maxWindow)
	c.duration("windows.visit", w.GetVisit(), maxWindow)
	c.duration("windows.engagement", w.GetEngagement(), maxWindow)
	c.duration("windows.impression", w.GetImpression(), maxWindow)
	c.oneOf("relation", int32(o.Relation), aftertouchv1.Agreement_Relation_name)
	c.text("disclosure.form", o.GetDisclosure().GetForm())
	if o.GetPayout().GetSharePpm() > 1_000_000 {
		c.fail("payout.share_ppm", "must be at most 1000000, the whole value")
	}
	c.notNegative("payout.fixed_minor", o.GetPayout().GetFixedMinor())
}

// GetAgreement returns a version.
func (s *Service) GetAgreement(ctx context.Context, in *aftertouchv1.GetRequest) (*aftertouchv1.Agreement, error) {
	return get[*aftertouchv1.Agreement](ctx, s, registry.KindAgreement, in)
}

// ListAgreements returns the newest versions.
func (s *Service) ListAgreements(ctx context.Context, in *aftertouchv1.ListRequest) (*aftertouchv1.ListAgreementsResponse, error) {
	items, next, err := list[*aftertouchv1.Agreement](ctx, s, registry.KindAgreement, in)
	return &aftertouchv1.ListAgreementsResponse{Agreements: items, NextPageToken: next}, err
}
