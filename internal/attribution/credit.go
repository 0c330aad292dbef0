package attribution

import (
	"math/bits"
	"slices"

	"github.com/aftertouch-io/aftertouch/internal/event"
)

// player is an eligible touch as models see it; players are in A5 order.
type player struct {
	class class
	// age is the conversion's time minus the touch's, halfLife that of the touch's campaign, in ms.
	age, halfLife int64
}

// class ranks touches for the single-touch models (A7); lower is better.
type class uint8

const (
	classClick class = iota
	classEngagement
	classImpression
)

func classOf(k event.Kind) class {
	switch k {
	case event.KindImpression:
		return classImpression
	case event.KindEngagement:
		return classEngagement
	default:
		return classClick
	}
}

// weigh is an attribution model: it gives each player a weight. Weights are whole, at most 2^53, not all zero; all are
// zero at first. Credit is in proportion to them.
type weigh func(players []player, weights []uint64)

var models = [NumModels]weigh{
	FirstTouch: weighFirstTouch, LastTouch: weighLastTouch, Linear: weighLinear,
	PositionBased: weighPositionBased, TimeDecay: weighTimeDecay,
}

// creditAll runs every model and hands each player's credit and share of the value to take.
func creditAll(players []player, value int64, take func(i int, m Model, credit uint32, value int64)) {
	weights := make([]uint64, len(players))
	credits := make([]uint64, len(players))
	shares := make([]uint64, len(players))
	for m, model := range models {
		clear(weights)
		model(players, weights)
		apportion(CreditUnit, weights, credits)
		apportion(uint64(max(value, 0)), credits, shares)
		for i := range players {
			take(i, Model(m), uint32(credits[i]), int64(shares[i]))
		}
	}
}

// apportion divides total in proportion to the weights so that the parts sum to exactly total: each part is rounded
// down, and what is left goes, one each, to the largest remainders, among equals to the earlier (A11). The weights sum to
// less than 2^63.
func apportion(total uint64, weights, parts []uint64) {
	var sum uint64
	for _, w := range weights {
		sum += w
	}
	if sum == 0 {
		panic("BUG: model without weights")
	}
	left := total
	remainders := make([]remainder, len(weights))
	for i, w := range weights {
		hi, lo := bits.Mul64(total, w)
		q, r := bits.Div64(hi, lo, sum)
		parts[i], remainders[i] = q, remainder{r, i}
		left -= q
	}
	if left == 0 {
		return
	}
	slices.SortFunc(remainders, compareRemainders)
	for _, r := range remainders[:left] {
		parts[r.player]++
	}
}

type remainder struct {
	size   uint64
	player int
}

func compareRemainders(a, b remainder) int {
	switch {
	case a.size > b.size:
		return -1
	case a.size < b.size:
		return 1
	default:
		return a.player - b.player
	}
}
