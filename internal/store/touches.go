package store

import (
	"github.com/aftertouch-io/aftertouch/internal/attribution"
)

// About what one touch, and one line of credits, needs as it is sent.
const (
	touchBytes  = 180
	creditBytes = 140
)

// wordArrays are arrays of few different strings.
type wordArrays = *arrays[string, *words]

// modelColumns hold the credit and the value of every model.
type modelColumns struct {
	credit [attribution.NumModels]*arrays[uint32, *numbers[uint32]]
	value  [attribution.NumModels]*arrays[int64, *numbers[int64]]
}

func (t *table) modelColumns(nested string) (c modelColumns) {
	for m, name := range attribution.ModelNames {
		c.credit[m] = array(t, newNumbers[uint32](nested+".credit_"+name, "UInt32", 4))
	}
	for m, name := range attribution.ModelNames {
		c.value[m] = array(t, newNumbers[int64](nested+".value_"+name, "Int64", 8))
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
	kind                         *arrays[int8, *numbers[int8]]
	time, receivedTime           *arrays[int64, *numbers[int64]]
	creator, campaign, agreement wordArrays
	agreementVersion             *arrays[uint32, *numbers[uint32]]
	link, placement, channel     wordArrays
	entity                       *arrays[[16]byte, *hashes]
	event                        *arrays[string, *texts]
	eligible                     *arrays[bool, *flags]
	reason                       wordArrays
	models                       modelColumns
}

func (t *table) touchColumns() touchColumns {
	word := func(name string) wordArrays { return array(t, newWords("touches."+name)) }
	return touchColumns{
		kind:             array(t, newNumbers[int8]("touches.kind", "Int8", 1)),
		time:             array(t, newMillis("touches.time")),
		receivedTime:     array(t, newMillis("touches.received_time")),
		creator:          word("creator_id"),
		campaign:         word("campaign_id"),
		agreement:        word("agreement_id"),
		agreementVersion: array(t, newNumbers[uint32]("touches.agreement_version", "UInt32", 4)),
		link:             word("link_id"),
		placement:        word("placement_id"),
		channel:          word("channel"),
		entity:           array(t, &hashes{plain{columnName: "touches.entity_hash", wireType: "FixedString(16)"}}),
		event:            array(t, newTexts("touches.event_id")),
		eligible:         array(t, &flags{plain{columnName: "touches.eligible", wireType: "Bool"}}),
		reason:           word("reason"),
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
	c.entity.add(id.entity(workspace, t.GetEntity()))
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
	campaign, creator, agreement wordArrays
	link, placement, channel     wordArrays
	touches                      *arrays[uint16, *numbers[uint16]]
	first                        *arrays[int64, *numbers[int64]]
	models                       modelColumns

	// The lines of the journey at hand.
	keys  []creditKey
	lines []creditLine
	index map[creditKey]int
}

func (t *table) creditColumns() creditColumns {
	word := func(name string) wordArrays { return array(t, newWords("credits."+name)) }
	return creditColumns{
		campaign:  word("campaign_id"),
		creator:   word("creator_id"),
		agreement: word("agreement_id"),
		link:      word("link_id"),
		placement: word("placement_id"),
		channel:   word("channel"),
		touches:   array(t, newNumbers[uint16]("credits.touches", "UInt16", 2)),
		first:     array(t, newMillis("credits.first_time")),
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
	for _, a := range []wordArrays{c.campaign, c.creator, c.agreement, c.link, c.placement, c.channel} {
		a.end()
	}
	c.touches.end()
	c.first.end()
	c.models.end()
	c.keys, c.lines = c.keys[:0], c.lines[:0]
	clear(c.index)
	return n
}
