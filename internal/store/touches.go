package store

import (
	"github.com/aftertouch-io/aftertouch/internal/attribution"
)

// About what one touch, and one line of credits, needs as it is sent.
const (
	touchBytes  = 180
	creditBytes = 140
)

// modelColumns hold the credit and the value of every model.
type modelColumns struct {
	credit [attribution.NumModels]*arrays[uint32]
	value  [attribution.NumModels]*arrays[int64]
}

func (t *table) modelColumns(nested string) (c modelColumns) {
	for m, name := range attribution.ModelNames {
		c.credit[m] = array[uint32](t, nested+".credit_"+name, "UInt32")
	}
	for m, name := range attribution.ModelNames {
		c.value[m] = array[int64](t, nested+".value_"+name, "Int64")
	}
	return c
}

func (c *modelColumns) add(credit *[attribution.NumModels]uint32, value *[attribution.NumModels]int64) {
	for m := range attribution.NumModels {
		c.credit[m].add(credit[m])
		c.value[m].add(value[m])
	}
}

func (c *modelColumns) end() {
	for m := range attribution.NumModels {
		c.credit[m].end()
		c.value[m].end()
	}
}

// touchColumns hold the touches of a journey.
type touchColumns struct {
	kind                                    *arrays[int8]
	time, receivedTime                      *arrays[int64]
	creator, campaign, agreement            *arrays[string]
	agreementVersion                        *arrays[uint32]
	link, placement, channel, entity, event *arrays[string]
	eligible                                *arrays[bool]
	reason                                  *arrays[string]
	models                                  modelColumns
}

func (t *table) touchColumns() touchColumns {
	text := func(name string) *arrays[string] { return array[string](t, "touches."+name, "String") }
	return touchColumns{
		kind:             array[int8](t, "touches.kind", "Int8"),
		time:             array[int64](t, "touches.time", "DateTime64(3, 'UTC')"),
		receivedTime:     array[int64](t, "touches.received_time", "DateTime64(3, 'UTC')"),
		creator:          text("creator_id"),
		campaign:         text("campaign_id"),
		agreement:        text("agreement_id"),
		agreementVersion: array[uint32](t, "touches.agreement_version", "UInt32"),
		link:             text("link_id"),
		placement:        text("placement_id"),
		channel:          text("channel"),
		entity:           array[string](t, "touches.entity_hash", "FixedString(16)"),
		event:            text("event_id"),
		eligible:         array[bool](t, "touches.eligible", "Bool"),
		reason:           text("reason"),
		models:           t.modelColumns("touches"),
	}
}

func (c *touchColumns) add(x *attribution.JourneyTouch, workspace string, id *identifier) {
	t := x.Touch
	c.kind.add(int8(t.GetKind()))
	c.time.add(t.GetTime())
	c.receivedTime.add(t.GetReceivedTime())
	c.creator.add(t.GetCreatorId())
	c.campaign.add(t.GetCampaignId())
	c.agreement.add(t.GetAgreementId())
	c.agreementVersion.add(t.GetAgreementVersion())
	c.link.add(t.GetLinkId())
	c.placement.add(t.GetPlacementId())
	c.channel.add(t.GetChannel())
	hash := id.entity(workspace, t.GetEntity())
	c.entity.add(string(hash[:]))
	c.event.add(t.GetEventId())
	c.eligible.add(x.Eligible)
	c.reason.add(x.Reason)
	c.models.add(&x.Credit, &x.ValueMinor)
}

func (c *touchColumns) end() {
	c.kind.end()
	c.time.end()
	c.receivedTime.end()
	c.creator.end()
	c.campaign.end()
	c.agreement.end()
	c.agreementVersion.end()
	c.link.end()
	c.placement.end()
	c.channel.end()
	c.entity.end()
	c.event.end()
	c.eligible.end()
	c.reason.end()
	c.models.end()
}

// creditKey is what credit is summed by.
type creditKey struct{ campaign, creator, agreement, link, placement, channel string }

// creditLine is the credit of all touches with one key.
type creditLine struct {
	touches uint16
	first   int64
	credit  [attribution.NumModels]uint32
	value   [attribution.NumModels]int64
}

// creditColumns hold the credit of a journey summed by key, in the order of the keys' first touches.
type creditColumns struct {
	campaign, creator, agreement *arrays[string]
	link, placement, channel     *arrays[string]
	touches                      *arrays[uint16]
	first                        *arrays[int64]
	models                       modelColumns

	// The lines of the journey at hand.
	keys  []creditKey
	lines []creditLine
	index map[creditKey]int
}

func (t *table) creditColumns() creditColumns {
	text := func(name string) *arrays[string] { return array[string](t, "credits."+name, "String") }
	return creditColumns{
		campaign:  text("campaign_id"),
		creator:   text("creator_id"),
		agreement: text("agreement_id"),
		link:      text("link_id"),
		placement: text("placement_id"),
		channel:   text("channel"),
		touches:   array[uint16](t, "credits.touches", "UInt16"),
		first:     array[int64](t, "credits.first_time", "DateTime64(3, 'UTC')"),
		models:    t.modelColumns("credits"),
		index:     map[creditKey]int{},
	}
}

// add takes one eligible touch.
func (c *creditColumns) add(x *attribution.JourneyTouch) {
	t := x.Touch
	key := creditKey{
		t.GetCampaignId(), t.GetCreatorId(), t.GetAgreementId(), t.GetLinkId(), t.GetPlacementId(), t.GetChannel(),
	}
	i, ok := c.index[key]
	if !ok {
		i = len(c.keys)
		c.index[key] = i
		c.keys, c.lines = append(c.keys, key), append(c.lines, creditLine{first: t.GetTime()})
	}
	line := &c.lines[i]
	line.touches++
	for m := range attribution.NumModels {
		line.credit[m] += x.Credit[m]
		line.value[m] += x.ValueMinor[m]
	}
}

// end closes the journey at hand and returns how many lines it has.
func (c *creditColumns) end() int {
	n := len(c.keys)
	for i := range c.keys {
		key, line := &c.keys[i], &c.lines[i]
		c.campaign.add(key.campaign)
		c.creator.add(key.creator)
		c.agreement.add(key.agreement)
		c.link.add(key.link)
		c.placement.add(key.placement)
		c.channel.add(key.channel)
		c.touches.add(line.touches)
		c.first.add(line.first)
		c.models.add(&line.credit, &line.value)
	}
	for _, a := range []*arrays[string]{c.campaign, c.creator, c.agreement, c.link, c.placement, c.channel} {
		a.end()
	}
	c.touches.end()
	c.first.end()
	c.models.end()
	c.keys, c.lines = c.keys[:0], c.lines[:0]
	clear(c.index)
	return n
}
