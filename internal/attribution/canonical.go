package attribution

import (
	"cmp"
	"slices"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/event"
)

// Bounds beyond which the records of an order cannot be of one order (D3).
const (
	maxRecordSpan = 7 * day
	maxOrderUsers = 3
)

func (r *orderRecord) isLate() bool { return r.received-r.time > maxConversionLateness }

func (r *orderRecord) isServer() bool {
	return r.event.GetStamps().GetSource() == aftertouchv1.Stamps_server
}

func (r *orderRecord) has(flag string) bool {
	return slices.Contains(r.event.GetStamps().GetFlags(), flag)
}

func (r *orderRecord) rank() event.Rank {
	return event.Rank{Time: r.time, ReceivedTime: r.received, EventID: r.event.EventId}
}

// saysValue reports whether the record has a value: money, or a currency for none.
func (r *orderRecord) saysValue() bool {
	c := r.event.GetConversion()
	return c.ValueMinor != 0 || c.Currency != ""
}

// knowsOnlyToken reports whether no record names a person.
func (o *order) knowsOnlyToken() bool {
	for _, r := range o.records {
		if r.event.VisitorId != "" || r.event.UserKey != "" {
			return false
		}
	}
	return true
}

// canonicalConversion is what the order's records and the answer about its click say together (D3): a function of their
// set.
func (o *order) canonicalConversion(p *Partition) *aftertouchv1.CanonicalConversion {
	byTime := slices.SortedFunc(slices.Values(o.records), func(a, b *orderRecord) int { return a.rank().Compare(b.rank()) })
	byWord := slices.SortedStableFunc(slices.Values(byTime), func(a, b *orderRecord) int {
		return cmp.Compare(sourceOrder(a), sourceOrder(b))
	})
	first := byTime[0]
	c := &aftertouchv1.CanonicalConversion{
		Order: o.local, Action: first.event.GetConversion().Action, EventId: first.event.EventId, Time: first.time,
		ReceivedTime: first.received, OrderId: first.event.GetConversion().OrderId,
		OrderScope: first.event.GetConversion().OrderScope, Records: uint32(len(byTime)),
		Declared: !slices.ContainsFunc(byTime, isObserved), Server: slices.ContainsFunc(byTime, (*orderRecord).isServer),
	}
	o.settleValue(c, byWord)
	o.settleCodes(p, c, byWord)
	if i := slices.IndexFunc(byWord, func(r *orderRecord) bool { return r.event.UserKey != "" }); i >= 0 {
		c.User = byWord[i].event.UserKey
	}
	if i := slices.IndexFunc(byTime, func(r *orderRecord) bool { return r.event.VisitorId != "" }); i >= 0 {
		c.Visitor = byTime[i].event.VisitorId
	}
	o.settleClick(p, c, byTime)
	if o.isReused(byTime) {
		c.Flags = append(c.Flags, event.FlagOrderIDReused)
	}
	if c.Excluded = exclusion(byTime); c.Excluded == ReasonNoConsent {
		c.User, c.Visitor, c.Click = "", "", nil
	}
	return c
}

func sourceOrder(r *orderRecord) int {
	if r.isServer() {
		return 0
	}
	return 1
}

func isObserved(r *orderRecord) bool {
	return r.event.GetConversion().Evidence == aftertouchv1.Conversion_observed
}

func (o *order) settleValue(c *aftertouchv1.CanonicalConversion, byWord []*orderRecord) {
	settled := false
	for _, r := range byWord {
		if !r.saysValue() {
			continue
		}
		said := r.event.GetConversion()
		switch {
		case !settled:
			c.ValueMinor, c.Currency, settled = said.ValueMinor, said.Currency, true
		case c.ValueMinor != said.ValueMinor || c.Currency != said.Currency:
			c.ConflictingValue++
		}
	}
}

// settleCodes makes a touch of each promo code with known terms (A8).
func (o *order) settleCodes(p *Partition, c *aftertouchv1.CanonicalConversion, byWord []*orderRecord) {
	i := slices.IndexFunc(byWord, func(r *orderRecord) bool { return len(r.event.GetConversion().PromoCodes) > 0 })
	if i < 0 {
		return
	}
	r := byWord[i]
	for _, code := range slices.Compact(slices.Sorted(slices.Values(r.event.GetConversion().PromoCodes))) {
		terms := codeTerms(r.event.GetStamps(), code)
		if terms == nil {
			c.UnknownCodes = append(c.UnknownCodes, code)
			continue
		}
		t := touch{
			subject: p.subject(o.local, ""), id: code, kind: event.KindCode, time: c.Time, received: c.ReceivedTime,
			origin: p.intern(o.addr.Workspace, &origin{
				agreement: terms.AgreementId, version: terms.AgreementVersion,
				campaign: terms.CampaignId, creator: terms.CreatorId,
			}),
		}
		if terms.AgreementVersion == 0 {
			t.flags |= event.TouchNotInForce
		}
		c.Codes = append(c.Codes, t.proto())
	}
}

func codeTerms(s *aftertouchv1.Stamps, code string) *aftertouchv1.Terms {
	for _, t := range s.GetCodeTerms() {
		if t.GetCode() == code {
			return t.GetTerms()
		}
	}
	return nil
}

// settleClick finds the click of the conversion's token. An order that knows nothing else takes the visitor, and the
// click as the redirect wrote it, from the click's entity.
func (o *order) settleClick(p *Partition, c *aftertouchv1.CanonicalConversion, byTime []*orderRecord) {
	i := slices.IndexFunc(byTime, func(r *orderRecord) bool { return r.event.GetStamps().GetClick().GetEventId() != "" })
	if i < 0 {
		return
	}
	t := p.tokenClick(o.addr.Workspace, byTime[i].event.Stamps)
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

func (o *order) isReused(byTime []*orderRecord) bool {
	if byTime[len(byTime)-1].time-byTime[0].time > maxRecordSpan {
		return true
	}
	users := map[string]bool{}
	for _, r := range byTime {
		if r.event.UserKey != "" {
			users[r.event.UserKey] = true
		}
	}
	return len(users) > maxOrderUsers
}

// exclusion returns why an order takes no part, in the order of A12. One good record is enough to be in time and valid;
// one that denies consent is enough to be out (P2).
func exclusion(records []*orderRecord) string {
	onTime, valid, consent := false, false, true
	for _, r := range records {
		onTime = onTime || !r.isLate()
		valid = valid || !r.has(event.FlagRobot)
		consent = consent && !r.has(event.FlagNoConsent)
	}
	switch {
	case !consent:
		return ReasonNoConsent
	case !onTime:
		return ReasonLate
	case !valid:
		return ReasonInvalidTraffic
	default:
		return ""
	}
}
