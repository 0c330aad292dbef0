package attribution

import (
	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/event"
)

// RulesVersion numbers the rules that journeys are made by; it is part of their version. Raise it when a rule changes.
const RulesVersion = 1

// CreditUnit is the whole of one conversion's credit: credits are parts per 10^9 (A11).
const CreditUnit = 1_000_000_000

// Fact is one accepted, de-duplicated event: the row of table facts. Its identity is (Workspace, Entity, Event.EventId).
type Fact struct {
	// Entity is the entity that the event was addressed to.
	Entity event.Address
	// Event is the winning record's event with its stamps (A13). It is read-only.
	Event *aftertouchv1.Event
	Kind  event.Kind
	// Time is the corrected time and ReceivedTime the time of receipt, Unix ms.
	Time, ReceivedTime int64
	PayloadHash        uint64
	// LogDay is the UTC day (days since 1970-01-01) of the first record seen with this identity, by the record's
	// timestamp. It never changes, so it may be in the table's partition key.
	LogDay uint16
	// Flags are the stamped ones and those that the core adds, sorted.
	Flags []string
	// CountUnmeasured says that the event's agreement version counts unmeasured impressions (A4), so that one exposes (X1).
	CountUnmeasured bool
	// Duplicates counts further records with this identity.
	Duplicates uint32
	// ChangedOffset is the offset that last changed this row, in the entity's partition.
	ChangedOffset int64
	// Cause is the record that made this version of the row.
	Cause event.Position
	// PreviousTime is the Time of the version that this one replaces, Unix ms, when it was another one: derived figures
	// of that hour must be made anew too. Zero otherwise.
	PreviousTime int64
}

// JourneyStatus says whether a conversion's credit went to touches.
type JourneyStatus uint8

// The three statuses; their words are part of the reports.
const (
	Attributed JourneyStatus = iota + 1
	Unattributed
	Excluded
)

// String returns the status' word.
func (s JourneyStatus) String() string {
	switch s {
	case Attributed:
		return "attributed"
	case Unattributed:
		return "unattributed"
	case Excluded:
		return "excluded"
	default:
		panic("BUG: journey without a status")
	}
}

// Reasons of journeys and of touches that earn nothing. Their words are part of the reports.
const (
	// Journeys: unattributed.
	ReasonNoPerson        = "no_person"
	ReasonNoTouch         = "no_touch"
	ReasonNoEligibleTouch = "no_eligible_touch"
	ReasonCut             = "cut"
	// Journeys: excluded, and touches.
	ReasonNoConsent = "no_consent"
	ReasonLate      = "late"
	// Touches.
	ReasonInvalidTraffic = "invalid_traffic"
	ReasonNotInForce     = "not_in_force"
	ReasonNoAgreement    = "no_agreement"
	ReasonKindNotCounted = "kind_not_counted"
	ReasonUnmeasured     = "unmeasured"
	ReasonNotViewable    = "not_viewable"
	ReasonSameHalfHour   = "same_half_hour"
	ReasonClickEvidence  = "click_evidence"
	ReasonOutsideWindow  = "outside_window"
	ReasonOver500        = "over_500"
)

// Causes of journey versions (A15).
const (
	CauseNew        = "new"
	CauseLateTouch  = "late_touch"
	CauseIdentity   = "identity"
	CauseOrderMerge = "order_merge"
	CauseDuplicate  = "duplicate"
)

// Journey is one conversion with the touches it saw: the row of table journeys. Its identity is (Workspace, Order).
type Journey struct {
	// Order is the conversion's order address, Person whose conversion it is (zero for nobody).
	Order, Person event.Address
	Conversion    *aftertouchv1.CanonicalConversion
	Status        JourneyStatus
	// Reason says why the conversion is unattributed or excluded; empty when attributed.
	Reason string
	// Cause says what made this version (A15).
	Cause string
	// Touches are the eligible ones and, of the others, the newest MaxExplained, in A5 order. Omitted counts the rest by
	// reason.
	Touches []JourneyTouch
	Omitted map[string]uint32
	// OrderPosition is the position, in the order's partition, that last changed the canonical conversion; Position that
	// of the causing record in the person's partition (for nobody: the order's).
	OrderPosition, Position event.Position
	// PreviousTime is the conversion time of the version that this one replaces, Unix ms, when it was another one.
	PreviousTime int64
}

// MaxEligible and MaxExplained bound a journey's touches: models run over the newest MaxEligible (A12).
const (
	MaxEligible  = 500
	MaxExplained = 500
)

// JourneyTouch is one touch as one conversion saw it (A19).
type JourneyTouch struct {
	Touch    *aftertouchv1.Touch
	Eligible bool
	// Reason says why the touch is not eligible; empty when it is.
	Reason string
	// Credit in parts per 10^9 and ValueMinor in minor units, by model in the order of Models.
	Credit     [NumModels]uint32
	ValueMinor [NumModels]int64
}

// Identity says that a visitor is linked: the row of table identities. From may be a click's pseudo-visitor.
type Identity struct {
	From, To event.Address
	Cause    event.Position
}

// RefusalRow is one count of a collector run: the row of table refusals.
type RefusalRow struct {
	Workspace, RunID         string
	Hour                     int64
	Transport, Reason, KeyID string
	Count                    int64
	Cause                    event.Position
}

// OutMessage is a message to another entity. Value is the record's value; the key is To.Key().
type OutMessage struct {
	To    event.Address
	Value []byte
}

// Effects are what applying records produces, in the order of the records. The caller resets and reuses it.
type Effects struct {
	Messages   []OutMessage
	Facts      []Fact
	Journeys   []Journey
	Identities []Identity
	Refusals   []RefusalRow
	// Duplicates counts further records of known events.
	Duplicates int
}

// Reset empties the effects and keeps their memory.
func (e *Effects) Reset() {
	clear(e.Messages)
	clear(e.Facts)
	clear(e.Journeys)
	*e = Effects{
		Messages: e.Messages[:0], Facts: e.Facts[:0], Journeys: e.Journeys[:0],
		Identities: e.Identities[:0], Refusals: e.Refusals[:0],
	}
}
