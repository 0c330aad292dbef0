package storetest

import (
	"fmt"
	"time"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/attribution"
	"github.com/aftertouch-io/aftertouch/internal/event"
)

// Journey returns the journey of an order: touches of the given creators an hour apart before it, which share its value
// equally under every model. It was caused by the record at offset of partition 1.
func Journey(orderID string, d time.Duration, offset int64, creators ...string) attribution.Journey {
	const value = 4200
	order := event.OrderAddress(Workspace, "purchase", "", orderID)
	j := attribution.Journey{
		Order: order, Person: event.UserAddress(Workspace, "5f1e"), Status: attribution.Attributed, Cause: attribution.CauseNew,
		Conversion: &aftertouchv1.CanonicalConversion{
			Order: order.Local(), Action: "purchase", OrderId: orderID, EventId: "event-of-" + orderID,
			Time: At(d), ReceivedTime: At(d) + 1000, ValueMinor: value, Currency: "EUR", User: "5f1e", Visitor: "v1", Records: 1,
		},
		OrderPosition: event.Position{Epoch: 1, Partition: 2, Offset: offset}, Position: event.Position{Epoch: 1, Partition: 1, Offset: offset},
	}
	n := len(creators)
	if n == 0 {
		j.Status, j.Reason = attribution.Unattributed, attribution.ReasonNoTouch
	}
	for i, creator := range creators {
		t := attribution.JourneyTouch{Eligible: true, Touch: &aftertouchv1.Touch{
			Entity: "v:v1", EventId: fmt.Sprintf("touch-%d-of-%s", i, orderID), Kind: aftertouchv1.Touch_click,
			Time: At(d) - int64(n-i)*3_600_000, ReceivedTime: At(d), AgreementId: "deal-" + creator, AgreementVersion: 1,
			CampaignId: "spring", CreatorId: creator, LinkId: "link-" + creator, PlacementId: "post-" + creator, VisitorId: "v1",
		}}
		for m := range attribution.NumModels {
			t.Credit[m], t.ValueMinor[m] = share(attribution.CreditUnit, n, i), int64(share(value, n, i))
		}
		j.Touches = append(j.Touches, t)
	}
	return j
}

// share is the i-th of n shares of whole, the first ones taking what does not divide.
func share(whole, n, i int) uint32 {
	s := whole / n
	if i < whole%n {
		s++
	}
	return uint32(s)
}

func journeys() []attribution.Journey {
	full := Journey("1001", 3*time.Hour, 20, "ann", "bob", "ann")
	full.Conversion.OrderScope, full.Conversion.Declared, full.Conversion.Server = "de", true, true
	full.Conversion.Click = &aftertouchv1.Touch{EventId: "click-1"}
	full.Conversion.UnknownCodes, full.Conversion.Flags = []string{"UNKNOWN"}, []string{event.FlagOrderIDReused}
	full.Conversion.Records, full.Conversion.Duplicates, full.Conversion.ConflictingValue = 3, 2, 1
	full.Omitted = map[string]uint32{attribution.ReasonOver500: 7, attribution.ReasonCut: 1}
	full.Touches = append(full.Touches, attribution.JourneyTouch{Reason: attribution.ReasonNotInForce, Touch: &aftertouchv1.Touch{
		Entity: "v:v1", EventId: "visit-1", Kind: aftertouchv1.Touch_visit, Time: At(2 * time.Hour), ReceivedTime: At(3 * time.Hour),
		CreatorId: "cy", Channel: "social",
	}})

	none := Journey("1002", 4*time.Hour, 21)
	none.Person, none.Reason = event.Address{}, attribution.ReasonNoPerson

	excluded := Journey("1003", 5*time.Hour, 22)
	excluded.Person = event.VisitorAddress(Workspace, "v1")
	excluded.Status, excluded.Reason = attribution.Excluded, attribution.ReasonLate

	return []attribution.Journey{full, none, excluded}
}
