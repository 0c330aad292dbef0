package collector

import (
	"bytes"
	_ "embed"
	"html/template"
	"net/http"
	"net/url"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/apijson"
	"github.com/aftertouch-io/aftertouch/internal/registry"
)

//go:embed info.html
var infoPage string

var infoTemplate = template.Must(template.New("info").Parse(infoPage))

// relations say in words what stands between advertiser and creator.
var relations = map[aftertouchv1.Agreement_Relation]string{
	aftertouchv1.Agreement_unspecified: "has an agreement with the advertiser",
	aftertouchv1.Agreement_paid:        "is paid by the advertiser",
	aftertouchv1.Agreement_gift:        "received gifts from the advertiser",
	aftertouchv1.Agreement_affiliate:   "earns a share when somebody buys",
	aftertouchv1.Agreement_employee:    "works for the advertiser",
	aftertouchv1.Agreement_own:         "is the advertiser",
	aftertouchv1.Agreement_none:        "gets nothing from the advertiser",
}

type linkInfo struct {
	Link, Target, Advertiser, Campaign, Creator, Relation string
	Disclosure                                            string
	Revoked                                               bool
}

// serveInfo says what a link is (P4): where it leads, who spread it, and what stands behind it.
func (c *Collector) serveInfo(w http.ResponseWriter, s *registry.Snapshot, link *registry.Link) {
	info := linkInfo{Link: link.GetLinkId(), Revoked: link.GetRevoked()}
	if target, err := url.Parse(link.GetTargetUrl()); err == nil {
		info.Target = target.Host
	}
	if workspace, ok := s.Workspace(link.Workspace); ok {
		info.Advertiser = workspace.GetName()
	}
	if agreement, ok := s.NewestAgreement(link.Workspace, link.GetAgreementId()); ok {
		info.Relation = relations[agreement.GetRelation()]
		if agreement.GetDisclosure().GetRequired() {
			info.Disclosure = "required"
			if form := agreement.GetDisclosure().GetForm(); form != "" {
				info.Disclosure += " (" + form + ")"
			}
		}
		if campaign, ok := s.Campaign(link.Workspace, agreement.GetCampaignId()); ok {
			info.Campaign = campaign.GetName()
		}
		if creator, ok := s.Creator(link.Workspace, agreement.GetCreatorId()); ok {
			info.Creator = creator.GetName()
		}
	}
	var page bytes.Buffer
	if err := infoTemplate.Execute(&page, info); err != nil {
		c.log.Error("writing a link's page failed", "error", err)
		apijson.WriteError(w, http.StatusInternalServerError, apijson.Error{Reason: "internal", Detail: "the page cannot be written"})
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "public, max-age=300")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	h.Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(page.Bytes()) // the browser is gone when this fails
}
