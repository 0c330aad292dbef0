package attribution

import (
	"cmp"
	"strings"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/event"
)

// origin says whose content a touch showed: what many touches share, kept once.
type origin struct {
	agreement, campaign, creator string
	version                      uint32
	link, placement, channel     string
	// terms are those of the agreement's version, once they were found; versions are immutable.
	terms *AgreementTerms
}

// subject says whose a touch is. Few differ, so touches share them.
type subject struct {
	// entity is the local address that the event was sent to; with the event's id it is the touch's identity.
	entity string
	// visitor whose touch it is.
	visitor string
}

// touch is what entities keep of a touch event.
type touch struct {
	*subject
	id string
	// click is the click event that the touch's token names.
	click          string
	origin         *origin
	time, received int64
	hash           uint64
	flags          event.TouchFlags
	kind           event.Kind
	view           aftertouchv1.Impression_Viewability
}

// compareTouches orders touches (A5). Codes are the last at their time (A8); the address makes the order total.
func compareTouches(a, b *touch) int {
	if a.time != b.time {
		return cmp.Compare(a.time, b.time)
	}
	if code := b.kind == event.KindCode; code != (a.kind == event.KindCode) {
		if code {
			return -1
		}
		return 1
	}
	return cmp.Or(cmp.Compare(a.received, b.received), strings.Compare(a.id, b.id), strings.Compare(a.entity, b.entity))
}

// betterRecord reports whether the record (received, hash) is the event rather than the other one (A13).
func betterRecord(received int64, hash uint64, otherReceived int64, otherHash uint64) bool {
	return received < otherReceived || received == otherReceived && hash < otherHash
}

// compareContents orders what different holders say about one click: the redirect's record before what tokens say.
func compareContents(a, b *touch) int {
	return cmp.Or(
		cmp.Compare(a.flags&event.TouchFromToken, b.flags&event.TouchFromToken),
		cmp.Compare(a.received, b.received), cmp.Compare(a.hash, b.hash),
		cmp.Compare(a.origin.version, b.origin.version), strings.Compare(a.origin.agreement, b.origin.agreement),
		strings.Compare(a.origin.link, b.origin.link), cmp.Compare(a.time, b.time), cmp.Compare(a.flags, b.flags),
	)
}

// proto returns the touch as messages and rows carry it.
func (t *touch) proto() *aftertouchv1.Touch {
	m := &aftertouchv1.Touch{}
	t.toProto(m)
	return m
}

// toProto writes the touch into an empty message.
func (t *touch) toProto(m *aftertouchv1.Touch) {
	m.Entity, m.EventId, m.Kind, m.Time, m.ReceivedTime = t.entity, t.id, aftertouchv1.Touch_Kind(t.kind), t.time, t.received
	m.AgreementId, m.AgreementVersion = t.origin.agreement, t.origin.version
	m.CampaignId, m.CreatorId = t.origin.campaign, t.origin.creator
	m.LinkId, m.PlacementId, m.Channel = t.origin.link, t.origin.placement, t.origin.channel
	m.VisitorId, m.ClickEventId, m.Flags, m.Viewability, m.PayloadHash = t.visitor, t.click, uint32(t.flags), t.view, t.hash
}

// touchFromProto is the inverse of touch.proto. What is no touch keeps no kind.
func (p *Partition) touchFromProto(workspace string, m *aftertouchv1.Touch) touch {
	o := origin{
		agreement: m.GetAgreementId(), version: m.GetAgreementVersion(), campaign: m.GetCampaignId(), creator: m.GetCreatorId(),
		link: m.GetLinkId(), placement: m.GetPlacementId(), channel: m.GetChannel(),
	}
	t := touch{
		subject: p.subject(m.GetEntity(), m.GetVisitorId()), id: m.GetEventId(), click: m.GetClickEventId(),
		origin: p.intern(workspace, &o), time: max(m.GetTime(), 0), received: max(m.GetReceivedTime(), 0), hash: m.GetPayloadHash(),
		flags: event.TouchFlags(m.GetFlags()), view: m.GetViewability() & 3,
	}
	if k := m.GetKind(); k > 0 && k <= aftertouchv1.Touch_code {
		t.kind = event.Kind(k)
	}
	return t
}

// maxInterned bounds the interned origins and subjects of a partition. Entities keep the ones they refer to.
const maxInterned = 1 << 16

// subject returns a shared copy of a subject.
func (p *Partition) subject(entity, visitor string) *subject {
	s := subject{entity, visitor}
	if known := p.subjects[s]; known != nil {
		return known
	}
	if len(p.subjects) >= maxInterned {
		clear(p.subjects)
	}
	p.subjects[s] = &s
	return &s
}

// intern returns the one copy of an origin, so that terms are looked up once and equal origins are mostly one pointer.
func (p *Partition) intern(workspace string, o *origin) *origin {
	p.scratch = appendOrigin(append(append(p.scratch[:0], workspace...), 0), o)
	return p.internKey(len(workspace) + 1)
}

// internKey returns the origin whose workspace and encoding, which begins at the offset, are in scratch.
func (p *Partition) internKey(offset int) *origin {
	if known, ok := p.origins[string(p.scratch)]; ok {
		return known
	}
	if len(p.origins) >= maxInterned {
		clear(p.origins)
	}
	key := string(p.scratch)
	r := reader{s: key[offset:]}
	o := r.origin()
	if r.bad {
		return nil
	}
	p.origins[key] = &o
	return &o
}

func appendOrigin(b []byte, o *origin) []byte {
	b = putUint(putString(b, o.agreement), o.version)
	b = putString(putString(b, o.campaign), o.creator)
	return putString(putString(putString(b, o.link), o.placement), o.channel)
}

func (r *reader) origin() origin {
	o := origin{agreement: r.string(), version: uint32(r.uint())}
	o.campaign, o.creator = r.string(), r.string()
	o.link, o.placement, o.channel = r.string(), r.string(), r.string()
	return o
}

// termsOf returns the terms of an origin's agreement version; nil when the registry has no such version.
func (p *Partition) termsOf(workspace string, o *origin) *AgreementTerms {
	if o.terms == nil && o.agreement != "" && o.version != 0 {
		if t, ok := p.terms.Agreement(workspace, o.agreement, o.version); ok {
			o.terms = &t
		}
	}
	return o.terms
}

// sameTouch compares all that two touches say.
func sameTouch(a, b *touch) bool {
	return *a.subject == *b.subject && a.id == b.id && a.click == b.click && sameOrigin(a.origin, b.origin) && a.time == b.time &&
		a.received == b.received && a.hash == b.hash && a.flags == b.flags && a.kind == b.kind && a.view == b.view
}

func sameOrigin(a, b *origin) bool {
	return a == b || a.agreement == b.agreement && a.version == b.version && a.campaign == b.campaign && a.creator == b.creator &&
		a.link == b.link && a.placement == b.placement && a.channel == b.channel
}
