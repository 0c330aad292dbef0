package attributor

import (
	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/event"
)

// eachVersion calls f with every agreement version that the record names.
func eachVersion(rec *event.Record, f func(agreement string, version uint32)) {
	if s := rec.Event.GetStamps(); s != nil {
		f(s.GetTerms().GetAgreementId(), s.GetTerms().GetAgreementVersion())
		for _, c := range s.CodeTerms {
			f(c.GetTerms().GetAgreementId(), c.GetTerms().GetAgreementVersion())
		}
	}
	touch := func(t *aftertouchv1.Touch) { f(t.GetAgreementId(), t.GetAgreementVersion()) }
	switch body := rec.Message.GetBody().(type) {
	case *aftertouchv1.Message_Touches:
		for _, t := range body.Touches.GetTouches() {
			touch(t.GetTouch())
		}
	case *aftertouchv1.Message_Owned:
		touch(body.Owned.GetConversion().GetClick())
		for _, t := range body.Owned.GetConversion().GetCodes() {
			touch(t)
		}
	case *aftertouchv1.Message_Answer:
		touch(body.Answer.GetClick())
	case *aftertouchv1.Message_Link:
		touch(body.Link.GetBearing().GetClick())
	}
}
