package attribution

import (
	"slices"
	"strings"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/event"
)

// Bounds beyond which the records of an order cannot be of one order (D3).
const (
	maxRecordSpan = 7 * day
	maxOrderUsers = 3
)

// knowsOnlyToken reports whether no record names a person.
func (o *order) knowsOnlyToken() bool { return o.sum.user == nil && o.sum.visitor == nil }

// canonicalConversion is what the order's records and the answer about its click say together (D3): a function of their
// set.
func (o *order) canonicalConversion(p *Partition) *aftertouchv1.CanonicalConversion {
	s := &o.sum
	c := &aftertouchv1.CanonicalConversion{
		Order: o.local, Action: s.first.action, OrderId: s.first.orderID, OrderScope: s.first.scope, EventId: s.first.id,
		Time: s.first.time, ReceivedTime: s.first.received, Records: uint32(s.count), Declared: !s.observed, Server: s.server,
	}
	if s.value != nil {
		c.ValueMinor, c.Currency = s.value.value, s.value.currency
		c.ConflictingValue = uint32(s.saying - s.said[money{c.ValueMinor, c.Currency}])
	}
	if s.user != nil {
		c.User = s.user.user
	}
	if s.visitor != nil {
		c.Visitor = s.visitor.visitor
	}
	o.settleCodes(p, c)
	o.settleClick(c)
	if s.last.time-s.first.time > maxRecordSpan || len(o.users) > maxOrderUsers {
		c.Flags = append(c.Flags, event.FlagOrderIDReused)
	}
	if c.Excluded = s.exclusion(); c.Excluded == ReasonNoConsent {
		c.User, c.Visitor, c.Click = "", "", nil
	}
	return c
}

// settleCodes makes a touch of each promo code with known terms (A8).
func (o *order) settleCodes(p *Partition, c *aftertouchv1.CanonicalConversion) {
	if o.sum.codes == nil {
		return
	}
	codes := slices.Clone(o.sum.codes.codes)
	slices.SortFunc(codes, func(a, b orderCode) int { return strings.Compare(a.code, b.code) })
	for i, code := range codes {
		switch {
		case i > 0 && codes[i-1].code == code.code:
			continue
		case code.origin == nil:
			c.UnknownCodes = append(c.UnknownCodes, code.code)
			continue
		}
		t := touch{
			subject: p.subject(o.local, ""), id: code.code, kind: event.KindCode, time: c.Time, received: c.ReceivedTime,
			origin: code.origin,
		}
		if t.origin.version == 0 {
			t.flags |= event.TouchNotInForce
		}
		c.Codes = append(c.Codes, t.proto())
	}
}

// settleClick finds the click of the conversion's token. An order that knows nothing else takes the visitor, and the
// click as the redirect wrote it, from the click's entity.
func (o *order) settleClick(c *aftertouchv1.CanonicalConversion) {
	if o.sum.click == nil {
		return
	}
	t := o.sum.click.click
	c.Click = t.proto()
	if !o.knowsOnlyToken() {
		return
	}
	if a := o.answers[t.id]; a != nil {
		c.Visitor = a.answer.Visitor
		if a.answer.Click != nil {
			c.Click = a.answer.Click
		}
	}
}

// exclusion returns why an order takes no part. One record that denies consent is enough (P2); one that came in time, and
// one of valid traffic, is enough not to be late and invalid.
func (s *summary) exclusion() string {
	switch {
	case s.denied:
		return ReasonNoConsent
	case !s.onTime:
		return ReasonLate
	case !s.valid:
		return ReasonInvalidTraffic
	default:
		return ""
	}
}
