package attribution

import (
	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/event"
)

// Lengths of time in milliseconds.
const (
	minute = 60 * 1000
	hour   = 60 * minute
	day    = 24 * hour
)

// Bounds of time.
const (
	// maxTouchLateness and maxConversionLateness bound received time minus corrected time (A16).
	maxTouchLateness      = 30 * day
	maxConversionLateness = 90 * day
	// maxWindow is the longest lookback window that an agreement may have (A4): a journey sees no touch older than that.
	maxWindow = 90 * day
)

// ownVerdict is what a touch's own content says: late, invalid, consent, then whether its kind counts (A12).
func (p *Partition) ownVerdict(workspace string, t *touch) verdict {
	switch {
	case t.kind < event.KindImpression || t.kind > event.KindCode:
		return isNoTouch
	case t.flags&event.TouchLate != 0:
		return isLate
	case t.flags&event.TouchInvalid != 0:
		return isInvalid
	case t.flags&event.TouchNoConsent != 0:
		return isNoConsent
	case t.origin.agreement == "":
		return isNoAgreement
	case t.flags&event.TouchNotInForce != 0:
		return isNotInForce
	}
	terms := p.termsOf(workspace, t.origin)
	if terms == nil {
		return isNotInForce
	}
	if t.kind == event.KindImpression {
		return impressionVerdict(t, terms)
	}
	return takesPart
}

// impressionVerdict applies A4: view-through is off unless the agreement turns it on, and only what was seen counts.
func impressionVerdict(t *touch, terms *AgreementTerms) verdict {
	switch {
	case !terms.ViewThrough:
		return isKindNotCounted
	case t.view == aftertouchv1.Impression_not_viewable:
		return isNotViewable
	case t.view == aftertouchv1.Impression_unmeasured && !terms.CountUnmeasured:
		return isUnmeasured
	default:
		return takesPart
	}
}

// window returns the lookback window of a kind under the terms. A code is at the conversion's time.
func (a *AgreementTerms) window(k event.Kind) int64 {
	switch k {
	case event.KindImpression:
		return a.ImpressionWindow
	case event.KindEngagement:
		return a.EngagementWindow
	case event.KindVisit:
		return a.VisitWindow
	default:
		return a.ClickWindow
	}
}

// inWindow applies A3 to a touch that takes part; both ends are inclusive.
func inWindow(t *touch, terms *AgreementTerms, conversion int64) bool {
	return t.time <= conversion && conversion <= t.time+terms.window(t.kind)
}
