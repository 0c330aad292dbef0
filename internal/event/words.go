package event

import (
	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
)

// Kind is the kind of an event or touch. The numbers are stored; append only.
type Kind uint8

// Kinds of events. Code is no event: it is the touch that a promo code makes (A8).
const (
	KindUnspecified Kind = iota
	KindImpression
	KindEngagement
	KindVisit
	KindClick
	KindCode
	KindConversion
	KindAdjustment
	KindIdentify
	KindConsentChange
)

var kindNames = [...]string{
	"unspecified", "impression", "engagement", "visit", "click", "code", "conversion", "adjustment", "identify", "consent_change",
}

// String returns the word of DESIGN section 3.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "unspecified"
}

// KindOf returns the event's kind; KindUnspecified when it has none.
func KindOf(e *aftertouchv1.Event) Kind {
	switch e.GetKind().(type) {
	case *aftertouchv1.Event_Impression:
		return KindImpression
	case *aftertouchv1.Event_Visit:
		return KindVisit
	case *aftertouchv1.Event_Click:
		return KindClick
	case *aftertouchv1.Event_Engagement:
		return KindEngagement
	case *aftertouchv1.Event_Conversion:
		return KindConversion
	case *aftertouchv1.Event_Adjustment:
		return KindAdjustment
	case *aftertouchv1.Event_Identify:
		return KindIdentify
	case *aftertouchv1.Event_ConsentChange:
		return KindConsentChange
	default:
		return KindUnspecified
	}
}

// Reason is why an event was refused at the edge (DESIGN section 11). It is part of the API.
type Reason string

// Reasons of refusal.
const (
	Malformed         Reason = "malformed"
	UnknownKey        Reason = "unknown_key"
	RevokedKey        Reason = "revoked_key"
	WrongScope        Reason = "wrong_scope"
	OriginRefused     Reason = "origin_refused"
	UnknownLink       Reason = "unknown_link"
	UnknownPlacement  Reason = "unknown_placement"
	AgreementMismatch Reason = "agreement_mismatch"
	FutureEvent       Reason = "future_event"
	EventTooLarge     Reason = "event_too_large"
	BatchTooLarge     Reason = "batch_too_large"
	NegativeValue     Reason = "negative_value"
	UnknownCurrency   Reason = "unknown_currency"
	MissingCurrency   Reason = "missing_currency"
	PlaceholderID     Reason = "placeholder_id"
	EmailInID         Reason = "email_in_id"
	PhoneInUserKey    Reason = "phone_in_user_key"
	StampsNotAllowed  Reason = "stamps_not_allowed"
)

// Flags that the collector stamps on events and the attributor adds to facts.
const (
	// FlagRobot marks invalid traffic (E8): kept, counted gross, takes no part.
	FlagRobot = "robot"
	// FlagNotInForce marks a touch before version 1 of its agreement or outside its campaign (D7).
	FlagNotInForce = "not_in_force"
	// FlagUnknownCode marks a conversion with a promo code that is not registered (D7).
	FlagUnknownCode = "unknown_code"
	// FlagClampedTime marks an event whose time was in the future and became the time of receipt (A2).
	FlagClampedTime = "clamped_time"
	// FlagNoConsent marks an event of a person who denied consent (P2).
	FlagNoConsent = "no_consent"
	// FlagLate marks an event received too long after it happened (A16).
	FlagLate = "late"
	// FlagCut marks a touch or conversion over the hourly or daily bound of its entity (A12).
	FlagCut = "cut"
	// FlagShare marks a visit on a copied link (D6).
	FlagShare = "share"
	// FlagOrderIDReused marks an order whose records cannot be of one order (D3).
	FlagOrderIDReused = "order_id_reused"
	// FlagUnknownToken marks an event whose click token could not be opened.
	FlagUnknownToken = "unknown_token"
)

// TouchFlags is what a touch's own event says for good: the bits of Touch.flags. The bits are stored; append only.
type TouchFlags uint32

// Flags of touches.
const (
	// TouchInvalid marks invalid traffic (FlagRobot).
	TouchInvalid TouchFlags = 1 << iota
	// TouchNotInForce marks a touch outside its agreement or campaign (FlagNotInForce).
	TouchNotInForce
	// TouchNoConsent marks a touch of a person who denied consent (FlagNoConsent).
	TouchNoConsent
	// TouchLate marks a touch received over 30 d after it happened (A16).
	TouchLate
	// TouchFromToken marks a click that is known from its token only, not from the redirect's own record.
	TouchFromToken
	// TouchAfterToken marks an event whose token's click lies outside the span of adoption (D6).
	TouchAfterToken
)
