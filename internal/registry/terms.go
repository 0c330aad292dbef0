package registry

import (
	"math"
	"time"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/attribution"
	"google.golang.org/protobuf/types/known/durationpb"
)

// Windows and half-life that hold where an agreement or campaign says nothing (A4, A9), and the bounds of windows.
const (
	DefaultClickWindow      = 30 * 24 * time.Hour
	DefaultVisitWindow      = 30 * 24 * time.Hour
	DefaultEngagementWindow = 7 * 24 * time.Hour
	DefaultImpressionWindow = 24 * time.Hour
	DefaultHalfLife         = 7 * 24 * time.Hour
	MinWindow               = time.Hour
	MaxWindow               = 90 * 24 * time.Hour
)

// newAgreement derives what is read often from a version and its campaign. Version 1 begins with the campaign by default.
func newAgreement(a *aftertouchv1.Agreement, c *aftertouchv1.Campaign) *agreement {
	w := a.GetWindows()
	effective := a.GetEffectiveFrom()
	if effective == nil {
		effective = c.GetStart()
	}
	return &agreement{
		Agreement: a,
		terms: &aftertouchv1.Terms{
			AgreementId: a.GetAgreementId(), AgreementVersion: a.GetVersion(), CampaignId: a.GetCampaignId(), CreatorId: a.GetCreatorId(),
		},
		attribution: attribution.AgreementTerms{
			ClickWindow:      windowMs(w.GetClick(), DefaultClickWindow),
			VisitWindow:      windowMs(w.GetVisit(), DefaultVisitWindow),
			EngagementWindow: windowMs(w.GetEngagement(), DefaultEngagementWindow),
			ImpressionWindow: windowMs(w.GetImpression(), DefaultImpressionWindow),
			ViewThrough:      a.GetViewThrough(),
			CountUnmeasured:  a.GetCountUnmeasured(),
			HalfLife:         halfLifeMs(c.GetHalfLife()),
		},
		effectiveFrom: effective.AsTime().UnixMilli(),
		start:         c.GetStart().AsTime().UnixMilli(),
		end:           endMs(c),
	}
}

// endMs returns the end of a campaign, which may have none.
func endMs(c *aftertouchv1.Campaign) int64 {
	if c.GetEnd() == nil {
		return math.MaxInt64
	}
	return c.GetEnd().AsTime().UnixMilli()
}

func windowMs(d *durationpb.Duration, def time.Duration) int64 {
	if d == nil {
		return def.Milliseconds()
	}
	return min(max(d.AsDuration(), MinWindow), MaxWindow).Milliseconds()
}

func halfLifeMs(d *durationpb.Duration) int64 {
	if d.AsDuration() <= 0 {
		return DefaultHalfLife.Milliseconds()
	}
	return max(d.AsDuration().Milliseconds(), 1)
}
