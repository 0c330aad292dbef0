package attribution

import (
	"cmp"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/event"
)

// orderRecord is what an order keeps of one event: of the better one of the records with its id.
type orderRecord struct {
	id                     string
	action, scope, orderID string
	time, received         int64
	hash                   uint64
	user, visitor          string
	value                  int64
	currency               string
	codes                  []orderCode
	// click is the click that the record's token names; nil without one.
	click *touch
	is    recordBits
	// duplicates counts further records of the event. seenDay is the clock's day when the first came, logDay that record's.
	duplicates      uint32
	seenDay, logDay uint16
}

// recordBits are what a record is. The bits are stored; append only.
type recordBits uint8

const (
	isServer recordBits = 1 << iota
	isObserved
	isRobot
	isDenied
)

// orderCode is a promo code; origin is nil for an unknown one.
type orderCode struct {
	code   string
	origin *origin
}

func (r *orderRecord) touchKey() touchKey { return touchKey{id: r.id} }

// isLate reports whether the record came too long after what it reports (A16).
func (r *orderRecord) isLate() bool { return r.received-r.time > maxConversionLateness }

// saysValue reports whether the record has a value: money, or a currency for none.
func (r *orderRecord) saysValue() bool { return r.value != 0 || r.currency != "" }

// compareTimes orders records by time (A5).
func compareTimes(a, b *orderRecord) int {
	return cmp.Or(cmp.Compare(a.time, b.time), cmp.Compare(a.received, b.received), cmp.Compare(a.id, b.id))
}

// compareWords orders records by how much their word weighs: the server's before the browser's, then by time (D3).
func compareWords(a, b *orderRecord) int {
	return cmp.Or(cmp.Compare(b.is&isServer, a.is&isServer), compareTimes(a, b))
}

// orderRecordOf returns the conversion event of the partition's record.
func (p *Partition) orderRecordOf(e *aftertouchv1.Event) *orderRecord {
	c, s := e.GetConversion(), e.GetStamps()
	received := max(event.Millis(s.GetReceivedTime()), 0)
	r := &orderRecord{
		id: e.EventId, action: c.Action, scope: c.OrderScope, orderID: c.OrderId, time: correctedTime(e, received),
		received: received, hash: p.rec.PayloadHash, user: e.UserKey, visitor: e.VisitorId, value: c.ValueMinor,
		currency: c.Currency, seenDay: p.clock.day(), logDay: dayOf(p.rec.Timestamp),
	}
	if s.GetSource() == aftertouchv1.Stamps_server {
		r.is |= isServer
	}
	if c.Evidence == aftertouchv1.Conversion_observed {
		r.is |= isObserved
	}
	flags := stampedFlags(s)
	if flags&event.TouchInvalid != 0 {
		r.is |= isRobot
	}
	if flags&event.TouchNoConsent != 0 {
		r.is |= isDenied
	}
	for _, code := range c.PromoCodes {
		r.codes = append(r.codes, orderCode{code, p.codeOrigin(s, code)})
	}
	if s.GetClick().GetEventId() != "" {
		click := p.tokenClick(p.rec.To.Workspace, s)
		r.click = &click
	}
	return r
}

// codeOrigin returns whose a promo code is; nil when it is unknown.
func (p *Partition) codeOrigin(s *aftertouchv1.Stamps, code string) *origin {
	for _, known := range s.GetCodeTerms() {
		if t := known.GetTerms(); t != nil && known.Code == code {
			return p.intern(p.rec.To.Workspace, &origin{
				agreement: t.AgreementId, version: t.AgreementVersion, campaign: t.CampaignId, creator: t.CreatorId,
			})
		}
	}
	return nil
}

// summary is what the records of an order come to: of each kind of word the record that has it (D3). It grows with each
// record, so that a page which gives every conversion the same order id does not make each cost more than the last.
type summary struct {
	count                              int
	first, last                        *orderRecord
	value, codes, user, visitor, click *orderRecord
	// said counts the records by the money that they say, for conflicts.
	said                    map[money]int
	saying                  int
	onTime, valid, observed bool
	server, denied          bool
}

type money struct {
	value    int64
	currency string
}

// add takes a further record into account.
func (s *summary) add(r *orderRecord) {
	s.count++
	best(&s.first, r, true, compareTimes)
	best(&s.last, r, true, func(a, b *orderRecord) int { return compareTimes(b, a) })
	best(&s.value, r, r.saysValue(), compareWords)
	best(&s.codes, r, len(r.codes) > 0, compareWords)
	best(&s.user, r, r.user != "", compareWords)
	best(&s.visitor, r, r.visitor != "", compareTimes)
	best(&s.click, r, r.click != nil, compareTimes)
	if r.saysValue() {
		if s.said == nil {
			s.said = map[money]int{}
		}
		s.said[money{r.value, r.currency}]++
		s.saying++
	}
	s.onTime = s.onTime || !r.isLate()
	s.valid = s.valid || r.is&isRobot == 0
	s.observed = s.observed || r.is&isObserved != 0
	s.server = s.server || r.is&isServer != 0
	s.denied = s.denied || r.is&isDenied != 0
}

// best keeps the first of the records that have a word.
func best(kept **orderRecord, r *orderRecord, has bool, compare func(a, b *orderRecord) int) {
	if has && (*kept == nil || compare(r, *kept) < 0) {
		*kept = r
	}
}

// summarize makes the summary anew, after a record was replaced.
func (o *order) summarize() {
	o.sum = summary{}
	for _, r := range o.records {
		o.sum.add(r)
	}
}
