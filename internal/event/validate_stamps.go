package event

import (
	"unicode/utf8"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
)

const maxFlags = 16

// CheckStamps checks stamps that the sender gave (A17), at the given time by the collector's clock. What they name in the
// registry is for the collector to check.
func CheckStamps(s *aftertouchv1.Stamps, now int64) *Refusal {
	if refusal := CheckTime("stamps.received_time", s.ReceivedTime); refusal != nil {
		return refusal
	}
	if Millis(s.ReceivedTime) > now {
		return refuse(FutureEvent, "stamps.received_time is ahead of the collector's clock")
	}
	if _, known := aftertouchv1.Stamps_Source_name[int32(s.Source)]; !known {
		return refuse(Malformed, "stamps.source is not unspecified, browser or server")
	}
	if len(s.Flags) > maxFlags {
		return refuse(Malformed, "more than %d flags", maxFlags)
	}
	for _, flag := range s.Flags {
		if !isAction(flag) {
			return refuse(Malformed, "stamps.flags are words of a-z, 0-9 and _, such as robot")
		}
	}
	for _, word := range [...]string{s.Channel, s.Country, s.DeviceClass} {
		if len(word) > maxWord || !utf8.ValidString(word) {
			return refuse(Malformed, "stamps.channel, country and device_class are UTF-8 of at most %d bytes", maxWord)
		}
	}
	for _, c := range s.CodeTerms {
		if len(c.GetCode()) > maxPromoCode || !utf8.ValidString(c.GetCode()) {
			return refuse(Malformed, "stamps.code_terms.code is UTF-8 of at most %d bytes", maxPromoCode)
		}
	}
	return checkClickRef(s.Click)
}

func checkClickRef(c *aftertouchv1.ClickRef) *Refusal {
	if c == nil {
		return nil
	}
	if c.EventId == "" || c.Time == nil {
		return refuse(Malformed, "stamps.click needs event_id and time")
	}
	if refusal := CheckID("stamps.click.event_id", c.EventId); refusal != nil {
		return refusal
	}
	if refusal := CheckID("stamps.click.visitor_id", c.VisitorId); refusal != nil {
		return refusal
	}
	if c.LinkId != "" && !IsRegistryID(c.LinkId) {
		return refuse(UnknownLink, "stamps.click.link_id is not the id of a link")
	}
	return CheckTime("stamps.click.time", c.Time)
}
