package store

import (
	"github.com/aftertouch-io/aftertouch/internal/attribution"
	"github.com/aftertouch-io/aftertouch/internal/event"
)

// journeys buffers rows of the tables journeys and journey_changes, which have the same columns.
type journeys struct {
	table

	workspace                             *words
	orderHash                             *hashes
	version                               *wides
	time, receivedTime                    *numbers[int64]
	action                                *words
	status                                *numbers[int8]
	reason                                *words
	valueMinor                            *numbers[int64]
	currency                              *words
	flags                                 *arrays[string, *texts]
	personHash                            *hashes
	personKind                            *numbers[int8]
	person, order                         *texts
	orderID, orderScope, eventID          *texts
	visitorID, userKey, clickEventID      *texts
	unknownCodes                          *arrays[string, *texts]
	records, duplicates, conflictingValue *numbers[uint32]
	declared, server                      *flags
	firstTouchTime                        *numbers[int64]
	eligibleTouches                       *numbers[uint16]
	credits                               creditColumns
	touches                               touchColumns
	omitted                               *maps[uint32, *numbers[uint32]]
	cause                                 *words
	rulesVersion                          *numbers[uint16]
	orderEpoch                            *numbers[uint16]
	orderPartition                        *numbers[int32]
	orderOffset                           *numbers[int64]
	position                              positionColumns
}

func newJourneys() *journeys {
	j := &journeys{table: table{name: "journeys"}}
	t := &j.table
	j.workspace, j.orderHash, j.version = t.word("workspace"), t.hash("order_hash"), t.wide("version")
	j.time, j.receivedTime = t.millis("time"), t.millis("received_time")
	j.action, j.status, j.reason = t.word("action"), t.enum("status"), t.word("reason")
	j.valueMinor, j.currency = t.int64("value_minor"), t.word("currency")
	j.flags = array(t, newTexts("flags"))
	j.personHash, j.personKind, j.person = t.hash("person_hash"), t.enum("person_kind"), t.text("person")
	j.order, j.orderID, j.orderScope = t.text("order"), t.text("order_id"), t.text("order_scope")
	j.eventID, j.visitorID, j.userKey = t.text("event_id"), t.text("visitor_id"), t.text("user_key")
	j.clickEventID, j.unknownCodes = t.text("click_event_id"), array(t, newTexts("unknown_codes"))
	j.records, j.duplicates = t.uint32("records"), t.uint32("duplicates")
	j.conflictingValue = t.uint32("conflicting_value")
	j.declared, j.server = t.flag("declared"), t.flag("server")
	j.firstTouchTime, j.eligibleTouches = t.millis("first_touch_time"), t.uint16("eligible_touches")
	j.credits, j.touches = t.creditColumns(), t.touchColumns()
	j.omitted = mapping(t, newNumbers[uint32]("omitted", "UInt32", 4))
	j.cause, j.rulesVersion = t.word("cause"), t.uint16("rules_version")
	j.orderEpoch, j.orderPartition = t.uint16("order_epoch"), t.int32("order_partition")
	j.orderOffset, j.position = t.int64("order_offset"), t.position()
	return j
}

// add buffers one journey.
func (j *journeys) add(x *attribution.Journey, id *identifier) {
	ws, c := x.Order.Workspace, x.Conversion
	j.workspace.add(ws)
	j.orderHash.add(id.entity(ws, x.Order.Local()))
	j.version.add(JourneyVersion(x))
	j.time.add(c.GetTime())
	j.receivedTime.add(c.GetReceivedTime())
	j.action.add(c.GetAction())
	j.status.add(int8(x.Status))
	j.reason.add(x.Reason)
	j.valueMinor.add(c.GetValueMinor())
	j.currency.add(c.GetCurrency())
	for _, flag := range c.GetFlags() {
		j.flags.add(flag)
	}
	j.flags.end()
	j.personHash.add(id.entity(ws, x.Person.Local()))
	j.personKind.add(personKind(x.Person))
	j.person.add(x.Person.Local())
	j.addOrder(x)
	j.addTouches(x, id)
	j.omitted.add(x.Omitted)
	j.cause.add(x.Cause)
	j.rulesVersion.add(attribution.RulesVersion)
	j.orderEpoch.add(x.OrderPosition.Epoch)
	j.orderPartition.add(x.OrderPosition.Partition)
	j.orderOffset.add(x.OrderPosition.Offset)
	j.position.add(x.Position)
	j.rows++
	j.bytes += journeyBytes + 2*len(x.Order.ID) + 2*len(x.Person.ID)
}

// journeyBytes is about what a journey needs besides its touches and longer ids.
const journeyBytes = 320

func (j *journeys) addOrder(x *attribution.Journey) {
	c := x.Conversion
	j.order.add(x.Order.Local())
	j.orderID.add(c.GetOrderId())
	j.orderScope.add(c.GetOrderScope())
	j.eventID.add(c.GetEventId())
	j.visitorID.add(c.GetVisitor())
	j.userKey.add(c.GetUser())
	j.clickEventID.add(c.GetClick().GetEventId())
	for _, code := range c.GetUnknownCodes() {
		j.unknownCodes.add(code)
		j.bytes += len(code)
	}
	j.unknownCodes.end()
	j.records.add(c.GetRecords())
	j.duplicates.add(c.GetDuplicates())
	j.conflictingValue.add(c.GetConflictingValue())
	j.declared.add(c.GetDeclared())
	j.server.add(c.GetServer())
}

func (j *journeys) addTouches(x *attribution.Journey, id *identifier) {
	first, eligible := x.Conversion.GetTime(), uint16(0)
	for i := range x.Touches {
		t := &x.Touches[i]
		j.touches.add(t, x.Order.Workspace, id)
		j.bytes += touchBytes + len(t.Touch.GetEventId())
		if !t.Eligible {
			continue
		}
		if eligible++; eligible == 1 {
			first = t.Touch.GetTime()
		}
		j.credits.add(t)
	}
	j.firstTouchTime.add(first)
	j.eligibleTouches.add(eligible)
	j.touches.end()
	j.bytes += creditBytes * j.credits.end()
}

// personKind is the number of the kind in the tables; 0 for nobody.
func personKind(person event.Address) int8 {
	if person.IsZero() {
		return 0
	}
	return entityKind(person.Kind)
}
