package query

import (
	"fmt"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
)

// unit is the whole of one conversion's credit, in parts.
const unit = 1_000_000_000

// amount is conversions in parts per 10^9 and their value in minor units. Sums are exact up to 9.2 * 10^9 conversions.
type amount struct{ parts, value int64 }

func (a amount) plus(b amount) amount  { return amount{a.parts + b.parts, a.value + b.value} }
func (a amount) minus(b amount) amount { return amount{a.parts - b.parts, a.value - b.value} }

func (a amount) proto() *aftertouchv1.Amount {
	return &aftertouchv1.Amount{Conversions: decimal(a.parts), ValueMinor: a.value}
}

// decimal writes parts per 10^9 with 9 places.
func decimal(parts int64) string {
	sign := ""
	if parts < 0 {
		sign, parts = "-", -parts
	}
	return fmt.Sprintf("%s%d.%09d", sign, parts/unit, parts%unit)
}

// outcomes are the conversions of one currency as they ended, before any filter.
type outcomes struct {
	attributed             amount
	unattributed, excluded map[string]amount
}

func newOutcomes() *outcomes {
	return &outcomes{unattributed: map[string]amount{}, excluded: map[string]amount{}}
}

// totals prints the identity of A11 for what the rows show of the attributed credit: what they do not show is other.
func (o *outcomes) totals(shown amount) *aftertouchv1.Totals {
	t := &aftertouchv1.Totals{
		Attributed:   shown.proto(),
		Other:        o.attributed.minus(shown).proto(),
		Unattributed: map[string]*aftertouchv1.Amount{},
		Excluded:     map[string]*aftertouchv1.Amount{},
	}
	total := o.attributed
	for reason, a := range o.unattributed {
		t.Unattributed[reason] = a.proto()
		total = total.plus(a)
	}
	for reason, a := range o.excluded {
		t.Excluded[reason] = a.proto()
		total = total.plus(a)
	}
	t.Total = total.proto()
	return t
}

// empty reports whether there is nothing at all.
func (o *outcomes) empty() bool {
	return o.attributed == (amount{}) && len(o.unattributed) == 0 && len(o.excluded) == 0
}

// add counts conversions that ended with a status and reason; derived tables keep zeros.
func (o *outcomes) add(status, reason string, a amount) {
	if a == (amount{}) {
		return
	}
	switch status {
	case "attributed":
		o.attributed = o.attributed.plus(a)
	case "unattributed":
		o.unattributed[reason] = o.unattributed[reason].plus(a)
	case "excluded":
		o.excluded[reason] = o.excluded[reason].plus(a)
	default:
		panic("BUG: journey with status " + status)
	}
}
