package store

import (
	"slices"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/attribution"
	"github.com/aftertouch-io/aftertouch/internal/event"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// facts buffers rows of table facts.
type facts struct {
	table

	workspace             *words
	entityHash, eventHash *hashes
	logDay                *numbers[uint16]
	version               *wides

	kind                                    *numbers[int8]
	time, receivedTime, eventTime, sentTime *numbers[int64]
	exposes, invalid                        *flags
	flags                                   *arrays[string, *texts]
	duplicates                              *numbers[uint32]
	entity                                  *texts
	entityKind                              *numbers[int8]
	pseudo                                  *flags
	eventID, visitorID, userKey             *texts
	consent, source                         *numbers[int8]
	terms                                   termsColumns
	linkID, placementID                     *words
	channel                                 *texts
	country, deviceClass                    *words
	clickEventID                            *texts
	clickTime                               *numbers[int64]
	clickLinkID, clickVisitorID             *texts
	pageURL, referrer                       *texts
	properties                              *maps[string, *texts]
	shareParent                             *texts
	workspaceVersion                        *numbers[uint32]
	viewability                             *numbers[int8]
	visibleMs                               *numbers[uint32]
	sessionStart                            *flags
	engagementType, engagementReaction      *texts
	engagementTopic                         *texts
	action, orderID, orderScope             *texts
	valueMinor                              *numbers[int64]
	currency                                *texts
	evidence                                *numbers[int8]
	adjustmentID                            *texts
	adjustmentType                          *numbers[int8]
	adjustedEventID                         *texts
	code, codeAgreement, codeCampaign       *arrays[string, *texts]
	codeCreator                             *arrays[string, *texts]
	codeAgreementVersion                    *arrays[uint32, *numbers[uint32]]
	itemID                                  *arrays[string, *texts]
	itemQuantity, itemValue                 *arrays[int64, *numbers[int64]]
	payloadHash                             *numbers[uint64]
	changedOffset                           *numbers[int64]
	cause                                   positionColumns
}

// termsColumns hold the agreement that an event belongs to.
type termsColumns struct {
	agreement, campaign, creator *words
	version                      *numbers[uint32]
}

func (c *termsColumns) add(t *aftertouchv1.Terms) {
	c.agreement.add(t.GetAgreementId())
	c.version.add(t.GetAgreementVersion())
	c.campaign.add(t.GetCampaignId())
	c.creator.add(t.GetCreatorId())
}

// positionColumns hold the position of a row's causing record.
type positionColumns struct {
	epoch     *numbers[uint16]
	partition *numbers[int32]
	offset    *numbers[int64]
}

func (t *table) position() positionColumns {
	return positionColumns{t.uint16("epoch"), t.int32("partition"), t.int64("cause_offset")}
}

func (c *positionColumns) add(p event.Position) {
	c.epoch.add(p.Epoch)
	c.partition.add(p.Partition)
	c.offset.add(p.Offset)
}

func newFacts() *facts {
	f := &facts{table: table{name: "facts"}}
	t := &f.table
	f.workspace = t.word("workspace")
	f.entityHash, f.eventHash = t.hash("entity_hash"), t.hash("event_hash")
	f.logDay, f.version = t.day("log_day"), t.wide("version")
	f.kind = t.enum("kind")
	f.time, f.receivedTime = t.millis("time"), t.millis("received_time")
	f.eventTime, f.sentTime = t.millis("event_time"), t.millis("sent_time")
	f.exposes, f.invalid = t.flag("exposes"), t.flag("invalid")
	f.flags, f.duplicates = array(t, newTexts("flags")), t.uint32("duplicates")
	f.entity, f.entityKind, f.pseudo = t.text("entity"), t.enum("entity_kind"), t.flag("pseudo")
	f.eventID, f.visitorID, f.userKey = t.text("event_id"), t.text("visitor_id"), t.text("user_key")
	f.consent, f.source = t.enum("consent"), t.enum("source")
	f.terms = termsColumns{t.word("agreement_id"), t.word("campaign_id"), t.word("creator_id"), t.uint32("agreement_version")}
	f.linkID, f.placementID = t.word("link_id"), t.word("placement_id")
	f.channel, f.country, f.deviceClass = t.text("channel"), t.word("country"), t.word("device_class")
	f.clickEventID, f.clickTime = t.text("click_event_id"), t.millis("click_time")
	f.clickLinkID, f.clickVisitorID = t.text("click_link_id"), t.text("click_visitor_id")
	f.pageURL, f.referrer = t.text("page_url"), t.text("referrer")
	f.properties, f.shareParent = mapping(t, newTexts("properties")), t.text("share_parent")
	f.workspaceVersion = t.uint32("workspace_version")
	f.viewability, f.visibleMs, f.sessionStart = t.enum("viewability"), t.uint32("visible_ms"), t.flag("session_start")
	f.engagementType, f.engagementReaction = t.text("engagement_type"), t.text("engagement_reaction")
	f.engagementTopic = t.text("engagement_topic")
	f.conversionColumns()
	f.payloadHash, f.changedOffset, f.cause = t.uint64("payload_hash"), t.int64("changed_offset"), t.position()
	return f
}

func (f *facts) conversionColumns() {
	t := &f.table
	f.action, f.orderID, f.orderScope = t.text("action"), t.text("order_id"), t.text("order_scope")
	f.valueMinor, f.currency, f.evidence = t.int64("value_minor"), t.text("currency"), t.enum("evidence")
	f.adjustmentID, f.adjustmentType = t.text("adjustment_id"), t.enum("adjustment_type")
	f.adjustedEventID = t.text("adjusted_event_id")
	f.code = array(t, newTexts("codes.code"))
	f.codeAgreement = array(t, newTexts("codes.agreement_id"))
	f.codeAgreementVersion = array(t, newNumbers[uint32]("codes.agreement_version", "UInt32", 4))
	f.codeCampaign = array(t, newTexts("codes.campaign_id"))
	f.codeCreator = array(t, newTexts("codes.creator_id"))
	f.itemID = array(t, newTexts("items.item_id"))
	f.itemQuantity = array(t, newNumbers[int64]("items.quantity", "Int64", 8))
	f.itemValue = array(t, newNumbers[int64]("items.value_minor", "Int64", 8))
}

// add buffers one fact. The row keeps the event's strings until it has been written.
func (f *facts) add(x *attribution.Fact, id *identifier) {
	e, local := x.Event, x.Entity.Local()
	f.workspace.add(x.Entity.Workspace)
	f.entityHash.add(id.entity(x.Entity.Workspace, local))
	f.eventHash.add(id.event(x.Entity.Workspace, local, e.GetEventId()))
	f.logDay.add(x.LogDay)
	f.version.add(FactVersion(x))
	f.kind.add(int8(x.Kind))
	f.time.add(x.Time)
	f.receivedTime.add(x.ReceivedTime)
	f.eventTime.add(unixMilli(e.GetEventTime()))
	f.sentTime.add(unixMilli(e.GetSentTime()))
	f.exposes.add(exposes(x))
	f.invalid.add(slices.Contains(x.Flags, event.FlagRobot))
	for _, flag := range x.Flags {
		f.flags.add(flag)
	}
	f.flags.end()
	f.duplicates.add(x.Duplicates)
	f.entity.add(local)
	f.entityKind.add(entityKind(x.Entity.Kind))
	f.pseudo.add(x.Entity.IsPseudo())
	f.eventID.add(e.GetEventId())
	f.visitorID.add(e.GetVisitorId())
	f.userKey.add(e.GetUserKey())
	f.consent.add(int8(e.GetConsent().GetState()))
	f.addStamps(e)
	f.pageURL.add(e.GetPageUrl())
	f.referrer.add(e.GetReferrer())
	f.properties.add(e.GetProperties())
	f.shareParent.add(e.GetShareParent())
	f.addTouch(e)
	f.addConversion(e)
	f.payloadHash.add(x.PayloadHash)
	f.changedOffset.add(x.ChangedOffset)
	f.cause.add(x.Cause)
	f.rows++
	f.bytes += factBytes + 2*len(local) + len(e.GetUserKey()) + len(e.GetPageUrl()) + len(e.GetReferrer()) + propertyBytes(e)
}

// factBytes is about what a fact needs besides its longer strings.
const factBytes = 280

func propertyBytes(e *aftertouchv1.Event) int {
	n := 0
	for k, v := range e.GetProperties() {
		n += len(k) + len(v)
	}
	return n
}

func (f *facts) addStamps(e *aftertouchv1.Event) {
	s := e.GetStamps()
	f.source.add(int8(s.GetSource()))
	f.terms.add(s.GetTerms())
	f.linkID.add(e.GetLink())
	f.placementID.add(e.GetPlacement())
	f.channel.add(s.GetChannel())
	f.country.add(s.GetCountry())
	f.deviceClass.add(s.GetDeviceClass())
	f.workspaceVersion.add(s.GetWorkspaceVersion())
	click := s.GetClick()
	f.clickEventID.add(click.GetEventId())
	f.clickTime.add(unixMilli(click.GetTime()))
	f.clickLinkID.add(click.GetLinkId())
	f.clickVisitorID.add(click.GetVisitorId())
}

func (f *facts) addTouch(e *aftertouchv1.Event) {
	f.viewability.add(int8(e.GetImpression().GetViewability()))
	f.visibleMs.add(e.GetImpression().GetVisibleMs())
	f.sessionStart.add(e.GetVisit().GetSessionStart())
	f.engagementType.add(e.GetEngagement().GetType())
	f.engagementReaction.add(e.GetEngagement().GetReaction())
	f.engagementTopic.add(e.GetEngagement().GetTopic())
}

// order is what conversions and adjustments say about an order.
type order interface {
	GetAction() string
	GetOrderId() string
	GetOrderScope() string
	GetValueMinor() int64
	GetCurrency() string
}

func (f *facts) addConversion(e *aftertouchv1.Event) {
	conversion, adjustment := e.GetConversion(), e.GetAdjustment()
	var o order = conversion
	if adjustment != nil {
		o = adjustment
	}
	f.action.add(o.GetAction())
	f.orderID.add(o.GetOrderId())
	f.orderScope.add(o.GetOrderScope())
	f.valueMinor.add(o.GetValueMinor())
	f.currency.add(o.GetCurrency())
	f.evidence.add(int8(conversion.GetEvidence()))
	f.adjustmentID.add(adjustment.GetId())
	f.adjustmentType.add(int8(adjustment.GetType()))
	f.adjustedEventID.add(adjustment.GetEventId())
	f.addCodes(e)
	for _, item := range conversion.GetItems() {
		f.itemID.add(item.GetItemId())
		f.itemQuantity.add(item.GetQuantity())
		f.itemValue.add(item.GetValueMinor())
		f.bytes += len(item.GetItemId()) + 16
	}
	f.itemID.end()
	f.itemQuantity.end()
	f.itemValue.end()
}

// addCodes adds the codes as stamped; of an event without stamps the codes alone.
func (f *facts) addCodes(e *aftertouchv1.Event) {
	stamped := e.GetStamps().GetCodeTerms()
	for _, c := range stamped {
		f.addCode(c.GetCode(), c.GetTerms())
	}
	if len(stamped) == 0 {
		for _, c := range e.GetConversion().GetPromoCodes() {
			f.addCode(c, nil)
		}
	}
	f.code.end()
	f.codeAgreement.end()
	f.codeAgreementVersion.end()
	f.codeCampaign.end()
	f.codeCreator.end()
}

func (f *facts) addCode(code string, terms *aftertouchv1.Terms) {
	f.code.add(code)
	f.codeAgreement.add(terms.GetAgreementId())
	f.codeAgreementVersion.add(terms.GetAgreementVersion())
	f.codeCampaign.add(terms.GetCampaignId())
	f.codeCreator.add(terms.GetCreatorId())
	f.bytes += len(code) + 16
}

// exposes reports whether the event exposes a person to its creator (X1).
func exposes(x *attribution.Fact) bool {
	if x.Event.GetStamps().GetTerms().GetCreatorId() == "" {
		return false
	}
	if slices.Contains(x.Flags, event.FlagRobot) || slices.Contains(x.Flags, event.FlagNoConsent) {
		return false
	}
	switch x.Kind {
	case event.KindClick, event.KindVisit, event.KindEngagement:
		return true
	case event.KindImpression:
		v := x.Event.GetImpression().GetViewability()
		return v == aftertouchv1.Impression_viewable || v == aftertouchv1.Impression_unmeasured && x.CountUnmeasured
	default:
		return false
	}
}

// entityKind is the number of the kind in the tables.
func entityKind(k event.EntityKind) int8 {
	switch k {
	case event.Visitor:
		return 1
	case event.User:
		return 2
	case event.Order:
		return 3
	default:
		return 0
	}
}

// unixMilli returns 0 for no time.
func unixMilli(t *timestamppb.Timestamp) int64 {
	if t == nil {
		return 0
	}
	return t.GetSeconds()*1000 + int64(t.GetNanos())/1_000_000
}
