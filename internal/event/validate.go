package event

import (
	"fmt"
	"strings"
	"unicode/utf8"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
)

// Limits of what one caller may send at once and of one event's parts.
const (
	// MaxEventBytes is the largest encoding of one event, in the encoding that it came in.
	MaxEventBytes = 16 << 10
	// MaxBatchEvents and MaxBatchBytes bound one batch.
	MaxBatchEvents = 1000
	MaxBatchBytes  = 1 << 20

	maxProperties       = 16
	maxPropertyKey      = 64
	maxPropertyValue    = 256
	maxPromoCodes       = 16
	maxPromoCode        = 64
	maxItems            = 100
	maxWord             = 64
	maxURL              = 2048
	maxRegistryIDLength = 64
)

// Refusal says why an event is not taken. A nil *Refusal means that it is.
type Refusal struct {
	Reason Reason
	// Detail says what to do about it. It never repeats what was sent, which may be personal.
	Detail string
}

// Error makes a refusal usable as an error.
func (r *Refusal) Error() string { return string(r.Reason) + ": " + r.Detail }

func refuse(reason Reason, detail string, args ...any) *Refusal {
	return &Refusal{Reason: reason, Detail: fmt.Sprintf(detail, args...)}
}

// Normalize checks everything about an event that can be decided from the event alone, and brings it into the form that is
// stored: addresses cut, promo codes and currency upper-cased, e-mail addresses removed from free text. It returns how
// many places were cleaned of e-mail addresses. Ids are checked as received, so the user key must not be hashed yet.
func Normalize(e *aftertouchv1.Event) (scrubbed int, refusal *Refusal) {
	if refusal = checkIDs(e); refusal != nil {
		return 0, refusal
	}
	if e.Consent != nil {
		if _, known := aftertouchv1.Consent_State_name[int32(e.Consent.State)]; !known {
			return 0, refuse(Malformed, "consent.state is not unspecified, granted or denied")
		}
	}
	for _, field := range [...]*string{&e.PageUrl, &e.Referrer} {
		if *field == "" {
			continue
		}
		if !utf8.ValidString(*field) {
			return 0, refuse(Malformed, "page_url and referrer must be UTF-8")
		}
		var n int
		*field, n = CutURL(*field)
		scrubbed += n
	}
	if len(e.Properties) > 0 {
		n, refusal := normalizeProperties(e.Properties)
		if refusal != nil {
			return 0, refusal
		}
		scrubbed += n
	}
	return scrubbed, normalizeKind(e)
}

func normalizeProperties(properties map[string]string) (scrubbed int, refusal *Refusal) {
	if len(properties) > maxProperties {
		return 0, refuse(Malformed, "more than %d properties", maxProperties)
	}
	for key, value := range properties {
		switch {
		case len(key) == 0 || len(key) > maxPropertyKey:
			return 0, refuse(Malformed, "a property's key has not 1 to %d bytes", maxPropertyKey)
		case len(value) > maxPropertyValue:
			return 0, refuse(Malformed, "a property's value is over %d bytes", maxPropertyValue)
		case !utf8.ValidString(key) || !utf8.ValidString(value):
			return 0, refuse(Malformed, "properties must be UTF-8")
		case containsEmail(value) || containsEmail(key):
			// The event is worth keeping; what may not be stored is not stored (P1).
			delete(properties, key)
			scrubbed++
		}
	}
	return scrubbed, nil
}

func normalizeKind(e *aftertouchv1.Event) *Refusal {
	switch kind := e.Kind.(type) {
	case *aftertouchv1.Event_Impression:
		if _, known := aftertouchv1.Impression_Viewability_name[int32(kind.Impression.GetViewability())]; !known {
			return refuse(Malformed, "impression.viewability is not unmeasured, not_viewable or viewable")
		}
	case *aftertouchv1.Event_Visit, *aftertouchv1.Event_Click, *aftertouchv1.Event_Identify:
	case *aftertouchv1.Event_Engagement:
		return checkWords(kind.Engagement.GetType(), kind.Engagement.GetReaction(), kind.Engagement.GetTopic())
	case *aftertouchv1.Event_Conversion:
		if kind.Conversion == nil {
			return refuse(Malformed, "conversion is empty")
		}
		return normalizeConversion(kind.Conversion)
	case *aftertouchv1.Event_Adjustment:
		return refuse(Malformed, "adjustments are not taken by this version")
	case *aftertouchv1.Event_ConsentChange:
		return refuse(Malformed, "consent_change is not taken by this version; send consent with each event")
	default:
		return refuse(Malformed, "the event has no kind: set one of impression, visit, click, engagement, conversion, identify")
	}
	return nil
}

func checkWords(words ...string) *Refusal {
	for _, w := range words {
		if len(w) > maxWord || !utf8.ValidString(w) {
			return refuse(Malformed, "engagement.type, reaction and topic are UTF-8 of at most %d bytes", maxWord)
		}
	}
	return nil
}

func normalizeConversion(c *aftertouchv1.Conversion) *Refusal {
	if !isAction(c.Action) {
		return refuse(Malformed, "conversion.action must be 1 to %d of a-z, 0-9 and _, such as purchase", maxWord)
	}
	if _, known := aftertouchv1.Conversion_Evidence_name[int32(c.Evidence)]; !known {
		return refuse(Malformed, "conversion.evidence is not observed or declared")
	}
	var refusal *Refusal
	if c.Currency, refusal = checkMoney(c.ValueMinor, c.Currency); refusal != nil {
		return refusal
	}
	if c.PromoCodes, refusal = normalizeCodes(c.PromoCodes); refusal != nil {
		return refusal
	}
	if len(c.Items) > maxItems {
		return refuse(Malformed, "more than %d items", maxItems)
	}
	for _, item := range c.Items {
		if item.GetValueMinor() < 0 {
			return refuse(NegativeValue, "items.value_minor is negative; send a refund as an adjustment")
		}
		if item.GetValueMinor() > MaxValueMinor {
			return refuse(Malformed, "items.value_minor is over %d; it is in minor units of the currency", int64(MaxValueMinor))
		}
		if len(item.GetItemId()) > maxIDLength || !utf8.ValidString(item.GetItemId()) {
			return refuse(Malformed, "items.item_id is UTF-8 of at most %d bytes", maxIDLength)
		}
	}
	return nil
}

func isAction(s string) bool {
	if len(s) == 0 || len(s) > maxWord {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return true
}

// NormalizeCode returns the form in which promo codes are compared.
func NormalizeCode(code string) string { return strings.ToUpper(strings.TrimSpace(code)) }

// normalizeCodes keeps the order and drops empty and repeated codes: a code entered twice is one touch.
func normalizeCodes(codes []string) ([]string, *Refusal) {
	if len(codes) > maxPromoCodes {
		return nil, refuse(Malformed, "more than %d promo codes", maxPromoCodes)
	}
	kept := codes[:0]
next:
	for _, raw := range codes {
		code := NormalizeCode(raw)
		if code == "" {
			continue
		}
		if len(code) > maxPromoCode || !utf8.ValidString(code) {
			return nil, refuse(Malformed, "a promo code is UTF-8 of at most %d bytes", maxPromoCode)
		}
		if containsEmail(code) {
			return nil, refuse(EmailInID, "a promo code looks like an e-mail address")
		}
		for _, k := range kept {
			if k == code {
				continue next
			}
		}
		kept = append(kept, code)
	}
	return kept, nil
}
