package event

import (
	"encoding/base64"
	"strings"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
)

// ConsentPolicy is what the request and the workspace say about consent, beside the event itself.
type ConsentPolicy struct {
	// Required makes unspecified consent denied.
	Required bool
	// Denied is set when the browser refused for all sites: Sec-GPC, or Do Not Track where the workspace honours it.
	Denied bool
}

// EffectiveConsent returns the consent that an event is treated under (P2). Any refusal wins over any grant.
func EffectiveConsent(c *aftertouchv1.Consent, policy ConsentPolicy) aftertouchv1.Consent_State {
	state := c.GetState()
	tcf := TCFUnknown
	if c.GetTcf() != "" {
		tcf = ReadTCF(c.Tcf)
	}
	switch {
	case policy.Denied || state == aftertouchv1.Consent_denied || tcf == TCFDenied:
		return aftertouchv1.Consent_denied
	case state == aftertouchv1.Consent_granted || tcf == TCFGranted:
		return aftertouchv1.Consent_granted
	case policy.Required:
		return aftertouchv1.Consent_denied
	default:
		return aftertouchv1.Consent_unspecified
	}
}

// TCF is what a consent string says about measuring.
type TCF uint8

// What a consent string can say. Unknown is for the absent string.
const (
	TCFUnknown TCF = iota
	TCFGranted
	TCFDenied
)

// Bits of the core segment of a TC string, counted from its first bit (IAB Europe, "Transparency and Consent String with
// Global Vendor & CMP List Formats", version 2): fields before them have 6+36+36+12+12+6+12+12+6+1+1+12 bits.
const (
	tcfPurposesConsent     = 152
	tcfPurposesTransparent = tcfPurposesConsent + 24
	tcfPurposesEnd         = tcfPurposesTransparent + 24

	purposeStorage   = 1 // store and access information on a device
	purposeMeasureAd = 7 // measure advertising performance; may rest on legitimate interest
)

// ReadTCF reads the purposes of an IAB TCF version 2 string. A string that cannot be read, and the word "denied", is no
// consent: the site is bound by the framework and did not show one.
func ReadTCF(s string) TCF {
	core, _, _ := strings.Cut(s, ".")
	bits, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(core, "="))
	if err != nil || len(bits)*8 < tcfPurposesEnd || bits[0]>>2 != 2 {
		return TCFDenied
	}
	bit := func(start, purpose int) bool {
		i := start + purpose - 1
		return bits[i/8]&(0x80>>(i%8)) != 0
	}
	measure := bit(tcfPurposesConsent, purposeMeasureAd) || bit(tcfPurposesTransparent, purposeMeasureAd)
	if bit(tcfPurposesConsent, purposeStorage) && measure {
		return TCFGranted
	}
	return TCFDenied
}

// Anonymize takes from an event everything that could tell whose it is (P2). What remains feeds counters; an order keeps
// its id, because one refusal excludes the whole order.
func Anonymize(e *aftertouchv1.Event) {
	e.VisitorId, e.UserKey, e.ClickId, e.ShareParent, e.Properties = "", "", "", "", nil
	if e.Stamps != nil {
		e.Stamps.Click = nil
	}
}
