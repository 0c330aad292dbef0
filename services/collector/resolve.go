package collector

import (
	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/event"
)

// resolve stamps what the registry says about the event at its corrected time: the agreement of its token, link or
// placement (D7), and of its promo codes.
func (s *stamper) resolve(e *aftertouchv1.Event, at int64) *event.Refusal {
	s.openToken(e)
	agreement, refusal := s.agreementOf(e)
	if refusal != nil {
		return refusal
	}
	st := e.Stamps
	if st.Terms != nil {
		if refusal := s.checkTerms(st.Terms, agreement, at); refusal != nil {
			return refusal
		}
	} else if agreement != "" {
		st.Terms, _ = s.snapshot.TermsAt(s.id(), agreement, at)
	}
	if refusal := s.checkClick(st); refusal != nil {
		return refusal
	}
	if c := e.GetConversion(); c != nil {
		return s.resolveCodes(c, st, at)
	}
	if st.Terms != nil && st.Terms.AgreementVersion == 0 && e.GetIdentify() == nil {
		event.AddFlag(st, event.FlagNotInForce)
	}
	return nil
}

// openToken replaces the click token by what it says. The token itself is of no use to anybody else, so it is not stored.
func (s *stamper) openToken(e *aftertouchv1.Event) {
	token := e.ClickId
	if token == "" {
		return
	}
	e.ClickId = ""
	if e.Stamps.Click != nil {
		return
	}
	click, err := s.sealer.Open(token)
	if err == nil {
		// A link of another workspace cannot be: the token opened under this workspace's key.
		if _, known := s.snapshot.Link(click.LinkID); known {
			s.click.Reset()
			event.SetMillis(&s.clickTime, click.Time)
			s.click.EventId, s.click.LinkId, s.click.VisitorId = click.EventID, click.LinkID, click.VisitorID
			s.click.AgreementVersion, s.click.Time = click.AgreementVersion, &s.clickTime
			e.Stamps.Click = &s.click
			return
		}
	}
	event.AddFlag(e.Stamps, event.FlagUnknownToken)
}

// agreementOf returns the one agreement that token, link and placement belong to, "" when the event has none of them. A
// touch without a placement gets that of its link.
func (s *stamper) agreementOf(e *aftertouchv1.Event) (agreement string, refusal *event.Refusal) {
	mismatch := false
	name := func(other string) {
		mismatch = mismatch || agreement != "" && other != agreement
		agreement = other
	}
	placement := ""
	for _, id := range [...]string{e.Stamps.GetClick().GetLinkId(), e.Link} {
		if id == "" {
			continue
		}
		link, known := s.snapshot.Link(id)
		if !known || link.Workspace != s.id() {
			return "", newRefusal(event.UnknownLink, "the link is not registered in this workspace")
		}
		name(link.GetAgreementId())
		placement = link.GetPlacementId()
	}
	if e.Placement != "" {
		p, known := s.snapshot.Placement(s.id(), e.Placement)
		if !known {
			return "", newRefusal(event.UnknownPlacement, "the placement is not registered in this workspace")
		}
		name(p.GetAgreementId())
	} else if e.GetConversion() == nil {
		e.Placement = placement
	}
	if mismatch {
		return "", newRefusal(event.AgreementMismatch, "token, link and placement belong to different agreements")
	}
	return agreement, nil
}

// checkTerms checks terms that a replay gives, and completes them. It must be one agreement with what the event names, and a
// version that exists.
func (s *stamper) checkTerms(given *aftertouchv1.Terms, agreement string, at int64) *event.Refusal {
	if given.AgreementId == "" && agreement != "" || given.AgreementId != "" && agreement != "" && given.AgreementId != agreement {
		return newRefusal(event.AgreementMismatch, "stamps.terms and the event's link, placement or click name different agreements")
	}
	if !s.knowsVersion(given.AgreementId, given.AgreementVersion) {
		return newRefusal(event.Malformed, "stamps name a version of an agreement that does not exist")
	}
	known, _ := s.snapshot.TermsAt(s.id(), given.AgreementId, at)
	for _, part := range [...]struct {
		given *string
		known string
	}{{&given.CampaignId, known.GetCampaignId()}, {&given.CreatorId, known.GetCreatorId()}} {
		if *part.given != "" && *part.given != part.known {
			return newRefusal(event.AgreementMismatch, "stamps name another campaign or creator than their agreement")
		}
		*part.given = part.known
	}
	return nil
}

// checkClick checks the version of a click that a replay gives; the token's own was in force when it was made.
func (s *stamper) checkClick(st *aftertouchv1.Stamps) *event.Refusal {
	if st.Click == nil || st.Click == &s.click || st.Click.AgreementVersion == 0 {
		return nil
	}
	if st.Terms.GetAgreementId() == "" || !s.knowsVersion(st.Terms.AgreementId, st.Click.AgreementVersion) {
		return newRefusal(event.Malformed, "stamps.click names a version of an agreement that does not exist")
	}
	return nil
}

// knowsVersion reports whether the agreement has the version; version 0, none in force, needs the agreement only.
func (s *stamper) knowsVersion(agreement string, version uint32) bool {
	if version == 0 {
		_, known := s.snapshot.NewestAgreement(s.id(), agreement)
		return known
	}
	_, known := s.snapshot.Agreement(s.id(), agreement, version)
	return known
}

// resolveCodes stamps the terms of each promo code at the conversion's time (A8), keeping those that a replay gives.
func (s *stamper) resolveCodes(c *aftertouchv1.Conversion, st *aftertouchv1.Stamps, at int64) *event.Refusal {
	given := st.CodeTerms
	st.CodeTerms = nil
	for _, code := range c.PromoCodes {
		terms := &aftertouchv1.CodeTerms{Code: code}
		if kept := givenCode(given, code); kept != nil {
			if kept.Terms != nil {
				if refusal := s.checkTerms(kept.Terms, "", at); refusal != nil {
					return refusal
				}
			}
			terms.Terms = kept.Terms
		} else if known, ok := s.snapshot.Code(s.id(), code); ok && !known.GetRevoked() {
			terms.Terms, _ = s.snapshot.TermsAt(s.id(), known.GetAgreementId(), at)
		}
		if terms.Terms == nil {
			event.AddFlag(st, event.FlagUnknownCode)
		}
		st.CodeTerms = append(st.CodeTerms, terms)
	}
	return nil
}

func givenCode(given []*aftertouchv1.CodeTerms, code string) *aftertouchv1.CodeTerms {
	for _, g := range given {
		if event.NormalizeCode(g.GetCode()) == code {
			return g
		}
	}
	return nil
}
