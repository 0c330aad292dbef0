package collector

import (
	"net/http"
	"strings"
	"time"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/apijson"
	"github.com/aftertouch-io/aftertouch/internal/clicktoken"
	"github.com/aftertouch-io/aftertouch/internal/event"
	"github.com/aftertouch-io/aftertouch/internal/registry"
)

const (
	// tokenParameter carries the click token to the landing page.
	tokenParameter = "at_click"
	// visitorName is the script's cookie, and the parameter that it adds to /c/ links.
	visitorName = "at_vid"
	// consentParameter carries what the visitor said to the page that the link is on.
	consentParameter = "at_consent"
)

// handleRedirect sends the browser to the link's registered target, and nowhere else (E5).
func (c *Collector) handleRedirect(w http.ResponseWriter, r *http.Request) {
	c.inFlight.add()
	defer c.inFlight.done()
	if !c.registry.Ready() {
		apijson.WriteError(w, http.StatusServiceUnavailable, apijson.Error{Reason: reasonNotReady, Detail: details[reasonNotReady]})
		return
	}
	snapshot := c.registry.Snapshot()
	link, known := snapshot.Link(r.PathValue("link"))
	query := r.URL.Query()
	if query.Has("info") && known {
		c.serveInfo(w, snapshot, link)
		return
	}
	if !known || link.GetRevoked() {
		workspace := ""
		if known {
			workspace = link.Workspace
		}
		c.metrics.in[overRedirect].Inc()
		c.refusals.count(workspace, "", overRedirect, string(event.UnknownLink), 1, c.clock())
		apijson.WriteError(w, http.StatusNotFound, apijson.Error{Reason: string(event.UnknownLink), Detail: "there is no such link"})
		return
	}
	target := link.GetTargetUrl()
	if r.Method != http.MethodHead { // who only asks whether the link works has not clicked
		if token := c.recordClick(r, snapshot, link); token != "" {
			target = addParameter(target, tokenParameter, token)
		}
	}
	h := w.Header()
	h.Set("Location", target)
	h["Cache-Control"] = noStore
	h.Set("X-Robots-Tag", "noindex")
	w.WriteHeader(http.StatusFound)
}

// recordClick writes the click and returns its token, "" when the person refused to be recognised. It waits for the log for
// a moment only; the click is made durable in any case.
func (c *Collector) recordClick(r *http.Request, snapshot *registry.Snapshot, link *registry.Link) (token string) {
	from, err := c.callerOf(snapshot, link.Workspace)
	if err != nil {
		c.log.Error("link without a usable workspace", "link_id", link.GetLinkId(), "error", err)
		return ""
	}
	from.source = aftertouchv1.Stamps_browser
	c.observe(from, r.Header)
	size := int64(singleEventCost)
	if !c.budget.TryAcquire(size) {
		c.metrics.lost.Inc()
		c.refusals.count(link.Workspace, "", overRedirect, reasonOverBudget, 1, c.clock())
		return ""
	}
	b := c.newBatch(from, overRedirect)
	e := &b.event
	e.Reset()
	e.EventId, e.Link, e.Kind = newEventID(), link.GetLinkId(), &aftertouchv1.Event_Click{Click: &aftertouchv1.Click{}}
	e.Referrer = strings.ToValidUTF8(first(r.Header["Referer"]), "")
	state := consentOf(r)
	e.Consent = &aftertouchv1.Consent{State: state}
	if id := visitorOf(r); event.CheckID("visitor", id) == nil {
		e.VisitorId = id
	}
	// Before anybody could ask, nobody has answered: then the click is nobody's, and may be adopted where consent is given.
	if from.consent.Required && state == aftertouchv1.Consent_unspecified {
		from.consent.Required = false
		e.VisitorId = ""
	}
	to := event.ClickAddress(link.Workspace, e.EventId)
	if refusal := b.stamper.stamp(e); refusal != nil {
		b.refuse(e.EventId, refusal)
	} else {
		if e.GetConsent().GetState() == aftertouchv1.Consent_denied {
			to = event.AddressOf(link.Workspace, e)
		} else {
			token = from.sealer.Seal(clicktoken.Click{
				EventID: e.EventId, LinkID: link.GetLinkId(), Time: event.Millis(e.EventTime),
				AgreementVersion: e.Stamps.GetTerms().GetAgreementVersion(), VisitorID: e.VisitorId,
			})
		}
		b.append(to, e)
	}
	impatient := time.NewTimer(c.cfg.RedirectWait)
	defer impatient.Stop()
	c.commitSingle(b, func() { c.budget.Release(size); b.release() }, impatient.C)
	return token
}

func consentOf(r *http.Request) aftertouchv1.Consent_State {
	return aftertouchv1.Consent_State(aftertouchv1.Consent_State_value[r.URL.Query().Get(consentParameter)])
}

// visitorOf returns the visitor that the script named in the link, or in its cookie when both share a site. The script
// writes neither without consent.
func visitorOf(r *http.Request) string {
	if id := r.URL.Query().Get(visitorName); id != "" {
		return id
	}
	if cookie, err := r.Cookie(visitorName); err == nil {
		return cookie.Value
	}
	return ""
}

// addParameter adds a query parameter to an address and leaves the rest as it is written.
func addParameter(address, name, value string) string {
	base, fragment, hasFragment := strings.Cut(address, "#")
	switch {
	case !strings.Contains(base, "?"):
		base += "?"
	case !strings.HasSuffix(base, "?") && !strings.HasSuffix(base, "&"):
		base += "&"
	}
	base += name + "=" + value
	if hasFragment {
		base += "#" + fragment
	}
	return base
}
