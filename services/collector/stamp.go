package collector

import (
	"slices"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/event"
	"github.com/aftertouch-io/aftertouch/internal/privacy"
	"github.com/aftertouch-io/aftertouch/internal/registry"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// stamper validates and stamps the events of one caller, one at a time: an event's stamps are valid until the next one.
type stamper struct {
	*caller
	now      int64 // Unix ms
	scrubbed int   // e-mail addresses removed so far

	stamps              aftertouchv1.Stamps
	received, eventTime timestamppb.Timestamp
	click               aftertouchv1.ClickRef
	clickTime           timestamppb.Timestamp
	consentState        aftertouchv1.Consent
}

func newRefusal(reason event.Reason, detail string) *event.Refusal {
	return &event.Refusal{Reason: reason, Detail: detail}
}

// stamp makes of a received event what is stored, except for its id. Stamps that a replay gives are kept (A17).
func (s *stamper) stamp(e *aftertouchv1.Event) *event.Refusal {
	received, refusal := s.begin(e)
	if refusal != nil {
		return refusal
	}
	scrubbed, refusal := event.Normalize(e)
	if refusal != nil {
		return refusal
	}
	s.scrubbed += scrubbed
	at, clamped, refusal := event.CorrectTime(e, received)
	if refusal != nil {
		return refusal
	}
	if clamped {
		event.AddFlag(e.Stamps, event.FlagClampedTime)
	}
	// The corrected time replaces both clocks, so that correcting it again changes nothing.
	event.SetMillis(&s.eventTime, at)
	e.EventTime, e.SentTime = &s.eventTime, nil
	if refusal := s.resolve(e, at); refusal != nil {
		return refusal
	}
	if e.UserKey != "" {
		e.UserKey = privacy.HashUserKey(s.workspace.HMACKey, e.UserKey)
	}
	s.applyConsent(e)
	e.Stamps.RegistryOffset = s.snapshot.Offset()
	return nil
}

// begin gives the event stamps, or completes those that it brings, and returns the time of receipt.
func (s *stamper) begin(e *aftertouchv1.Event) (received int64, refusal *event.Refusal) {
	if e.Stamps == nil {
		s.stamps.Reset()
		event.SetMillis(&s.received, s.now)
		e.Stamps = &s.stamps
		e.Stamps.ReceivedTime, e.Stamps.Source, e.Stamps.WorkspaceVersion = &s.received, s.source, s.workspace.GetVersion()
		e.Stamps.Country, e.Stamps.DeviceClass = s.country, s.device
		if s.robot {
			e.Stamps.Flags = append(e.Stamps.Flags, event.FlagRobot)
		}
		return s.now, nil
	}
	if s.key == nil || !s.key.HasScope(registry.ScopeReplay) {
		return 0, newRefusal(event.StampsNotAllowed, "only a key with scope replay may send stamps")
	}
	if refusal := event.CheckStamps(e.Stamps, s.now); refusal != nil {
		return 0, refusal
	}
	given := e.Stamps
	if given.ReceivedTime == nil {
		given.ReceivedTime = event.Time(s.now)
	}
	received = event.Millis(given.ReceivedTime)
	event.SetMillis(given.ReceivedTime, received)
	if given.Source == aftertouchv1.Stamps_unspecified {
		given.Source = s.source
	}
	if given.WorkspaceVersion == 0 {
		given.WorkspaceVersion = s.workspace.GetVersion()
	}
	return received, nil
}

// applyConsent takes from a denied event what tells whose it is (P2).
func (s *stamper) applyConsent(e *aftertouchv1.Event) {
	state := event.EffectiveConsent(e.Consent, s.consent)
	if slices.Contains(e.Stamps.Flags, event.FlagNoConsent) {
		state = aftertouchv1.Consent_denied
	}
	e.Consent = nil
	if state == aftertouchv1.Consent_unspecified {
		return
	}
	s.consentState.State = state
	e.Consent = &s.consentState
	if state == aftertouchv1.Consent_denied {
		event.AddFlag(e.Stamps, event.FlagNoConsent)
		event.Anonymize(e)
	}
}
