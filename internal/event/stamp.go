package event

import (
	"slices"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Bounds of clocks (A2), in milliseconds.
const (
	// maxSkew is how far a sender's clock may be off before it is corrected: less is the time that sending takes.
	maxSkew = 5_000
	// maxFuture is how far ahead an event may be after correction; it is then clamped to the time of receipt.
	maxFuture = 24 * 3600 * 1000
	// maxTime is the end of the year 9999, the last that RFC 3339 can write.
	maxTime = 253402300799999
)

// Millis returns a timestamp as Unix milliseconds, rounded down; 0 for nil.
func Millis(t *timestamppb.Timestamp) int64 {
	if t == nil {
		return 0
	}
	return t.Seconds*1000 + int64(t.Nanos)/1_000_000
}

// SetMillis writes Unix milliseconds into a timestamp.
func SetMillis(t *timestamppb.Timestamp, ms int64) {
	t.Seconds, t.Nanos = ms/1000, int32(ms%1000)*1_000_000
}

// Time returns Unix milliseconds as a timestamp; ms is not negative.
func Time(ms int64) *timestamppb.Timestamp {
	t := &timestamppb.Timestamp{}
	SetMillis(t, ms)
	return t
}

// CheckTime refuses timestamps outside 1970 to 9999 and those that are no timestamps.
func CheckTime(field string, t *timestamppb.Timestamp) *Refusal {
	if t == nil {
		return nil
	}
	if t.Seconds < 0 || t.Seconds > maxTime/1000 || t.Nanos < 0 || t.Nanos > 999_999_999 {
		return refuse(Malformed, "%s is not a time from 1970 to 9999", field)
	}
	return nil
}

// CorrectTime returns the event's corrected time (A2) in Unix ms, given the time of receipt, and whether it was clamped.
func CorrectTime(e *aftertouchv1.Event, received int64) (ms int64, clamped bool, refusal *Refusal) {
	if refusal = CheckTime("event_time", e.EventTime); refusal != nil {
		return 0, false, refusal
	}
	if refusal = CheckTime("sent_time", e.SentTime); refusal != nil {
		return 0, false, refusal
	}
	if e.EventTime == nil {
		return received, false, nil
	}
	ms = Millis(e.EventTime)
	if e.SentTime != nil {
		if skew := received - Millis(e.SentTime); skew > maxSkew || skew < -maxSkew {
			ms += skew
		}
	}
	switch {
	case ms < 0 || ms > maxTime:
		return 0, false, refuse(Malformed, "event_time corrected by sent_time is not a time from 1970 to 9999")
	case ms > received+maxFuture:
		return 0, false, refuse(FutureEvent, "event_time is more than 24 h ahead of the collector's clock")
	case ms > received:
		return received, true, nil
	default:
		return ms, false, nil
	}
}

// AddFlag adds a flag to the stamps once.
func AddFlag(s *aftertouchv1.Stamps, flag string) {
	if !slices.Contains(s.Flags, flag) {
		s.Flags = append(s.Flags, flag)
	}
}

// IsRedirectClick reports whether the event is the click that a redirect wrote: the click that its own token names.
func IsRedirectClick(e *aftertouchv1.Event) bool {
	return e.GetClick() != nil && e.Stamps != nil && e.Stamps.Click != nil && e.Stamps.Click.EventId == e.EventId
}

// AddressOf returns the entity that a stamped event goes to (D2). The event has an id, and its user key is hashed.
func AddressOf(workspace string, e *aftertouchv1.Event) Address {
	if c := e.GetConversion(); c != nil {
		if c.OrderId == "" {
			return EventOrderAddress(workspace, e.EventId)
		}
		return OrderAddress(workspace, c.Action, c.OrderScope, c.OrderId)
	}
	switch {
	case IsRedirectClick(e):
		return ClickAddress(workspace, e.EventId)
	case e.VisitorId != "":
		return VisitorAddress(workspace, e.VisitorId)
	case e.UserKey != "":
		return UserAddress(workspace, e.UserKey)
	default:
		return EventVisitorAddress(workspace, e.EventId)
	}
}

// AppendKey appends Key to b.
func (a Address) AppendKey(b []byte) []byte {
	b = append(b, a.Workspace...)
	b = append(b, '/', byte(a.Kind), ':')
	return append(b, a.ID...)
}
