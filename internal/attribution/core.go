package attribution

import (
	"github.com/aftertouch-io/aftertouch/internal/event"
)

// Model is one attribution model; the number is its place in JourneyTouch.Credit. Append only.
type Model uint8

// The models that every journey carries (A9).
const (
	FirstTouch Model = iota
	LastTouch
	Linear
	PositionBased
	TimeDecay
	NumModels = iota
)

// ModelNames are the models' words, by Model.
var ModelNames = [NumModels]string{"first_touch", "last_touch", "linear", "position_based", "time_decay"}

// Terms reads immutable versions from the registry (D7).
type Terms interface {
	// Agreement returns one version's terms; false when the registry has no such version.
	Agreement(workspace, agreementID string, version uint32) (AgreementTerms, bool)
}

// AgreementTerms are what an agreement version says about credit. Times are milliseconds.
type AgreementTerms struct {
	// Lookback windows by kind, 1 h to 90 d, defaults filled in (A4).
	ClickWindow, VisitWindow, EngagementWindow, ImpressionWindow int64
	ViewThrough, CountUnmeasured                                 bool
	// HalfLife of the agreement's campaign, for time_decay; default 7 d.
	HalfLife int64
}

// Store is the state of the entities of one partition. It is used by one goroutine.
type Store interface {
	// State returns the concatenated deltas that were put for the entity, oldest first; nil when there are none. The bytes
	// are valid until the next call.
	State(entity event.Address) ([]byte, error)
	// Event returns the payload that was kept under the identity; nil when there is none.
	Event(entity event.Address, eventID string, logDay uint16) ([]byte, error)
}

// Changes receives what the core wants kept. Everything of one Commit becomes durable together, or not at all.
type Changes interface {
	// Append adds a delta to the entity's state.
	Append(entity event.Address, delta []byte) error
	// Replace puts the whole state in place of everything appended so far.
	Replace(entity event.Address, state []byte) error
	// PutEvent keeps a payload under its identity, replacing an earlier one.
	PutEvent(entity event.Address, eventID string, logDay uint16, payload []byte) error
}
