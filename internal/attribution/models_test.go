package attribution

import (
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
)

// weightsOf returns a model's exact shares as credits.
func creditsOf(m Model, players []player) []uint64 {
	weights, credits := make([]uint64, len(players)), make([]uint64, len(players))
	models[m](players, weights)
	apportion(CreditUnit, weights, credits)
	return credits
}

func clicks(n int) []player {
	players := make([]player, n)
	for i := range players {
		players[i] = player{age: int64(n-i) * day, halfLife: 7 * day}
	}
	return players
}

func TestModelsShareCreditAsTheyPromise(t *testing.T) {
	click, engagement, impression := player{class: classClick}, player{class: classEngagement}, player{class: classImpression}
	decay := func(days ...int64) (players []player) {
		for _, d := range days {
			players = append(players, player{age: d * day, halfLife: 7 * day})
		}
		return players
	}
	for _, c := range []struct {
		name    string
		model   Model
		players []player
		want    []uint64
	}{
		{"first: the oldest", FirstTouch, clicks(3), []uint64{1e9, 0, 0}},
		{"last: the newest", LastTouch, clicks(3), []uint64{0, 0, 1e9}},
		{"first: a click before an engagement", FirstTouch, []player{impression, engagement, click, click}, []uint64{0, 0, 1e9, 0}},
		{"last: a click before an impression", LastTouch, []player{click, click, engagement, impression}, []uint64{0, 1e9, 0, 0}},
		{"last: an engagement before an impression", LastTouch, []player{engagement, impression}, []uint64{1e9, 0}},
		{"linear: thirds, the rest to the earliest", Linear, clicks(3), []uint64{333333334, 333333333, 333333333}},
		{"position: one", PositionBased, clicks(1), []uint64{1e9}},
		{"position: two", PositionBased, clicks(2), []uint64{5e8, 5e8}},
		{"position: three", PositionBased, clicks(3), []uint64{4e8, 2e8, 4e8}},
		{"position: four", PositionBased, clicks(4), []uint64{4e8, 1e8, 1e8, 4e8}},
		{"position: five", PositionBased, clicks(5), []uint64{400000000, 66666667, 66666667, 66666666, 400000000}},
		// Universal Analytics: weights 1, 1/2, 1/4, 1/16 of a sum of 29/16.
		{"decay: 7 d half-life", TimeDecay, decay(28, 14, 7, 0), []uint64{34482759, 137931034, 275862069, 551724138}},
		{"decay: relative to the best", TimeDecay, decay(1007, 1000), []uint64{333333333, 666666667}},
		{"decay: nothing is left of very old ones", TimeDecay, decay(1000, 0), []uint64{0, 1e9}},
		{
			"decay: each by its own half-life", TimeDecay,
			[]player{{age: 2 * day, halfLife: 2 * day}, {age: 2 * day, halfLife: day}},
			[]uint64{666666667, 333333333},
		},
		{"decay: half a half-life is the root of a half", TimeDecay, []player{{age: day, halfLife: 2 * day}, {age: 0, halfLife: day}}, []uint64{414213562, 585786438}},
	} {
		if got := creditsOf(c.model, c.players); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// TestPublishedHeuristics sums whole paths: [DP6 Marketing-Attribution-Models] and [eeghor/mta] print these numbers.
func TestPublishedHeuristics(t *testing.T) {
	for _, c := range []struct {
		name  string
		paths map[string]uint64
		model Model
		want  map[byte]uint64
	}{
		{"DP6 first", dp6Paths(), FirstTouch, map[byte]uint64{'A': 9e9, 'B': 9e9, 'C': 9e9}},
		{"DP6 last", dp6Paths(), LastTouch, map[byte]uint64{'A': 15e9, 'B': 6e9, 'C': 6e9}},
		{"DP6 linear", dp6Paths(), Linear, map[byte]uint64{'A': 105e8, 'B': 9e9, 'C': 75e8}},
		{"DP6 position", dp6Paths(), PositionBased, map[byte]uint64{'A': 111e8, 'B': 84e8, 'C': 75e8}},
		{"mta linear", mtaPaths(), Linear, map[byte]uint64{'D': 2e9, 'S': 3166666667, 'E': 3166666667, 'O': 1666666667}},
		{"mta position", mtaPaths(), PositionBased, map[byte]uint64{'D': 2e9, 'S': 35e8, 'E': 35e8, 'O': 1e9}},
	} {
		got := map[byte]uint64{}
		for path, conversions := range c.paths {
			for i, credit := range creditsOf(c.model, clicks(len(path))) {
				got[path[i]] += conversions * credit
			}
		}
		for name, want := range c.want {
			if diff := int64(got[name]) - int64(want); diff < -30 || diff > 30 {
				t.Errorf("%s: %c has %d, want %d", c.name, name, got[name], want)
			}
		}
	}
}

func dp6Paths() map[string]uint64 {
	return map[string]uint64{"A": 3, "AB": 3, "ABC": 3, "B": 3, "BA": 3, "BCA": 3, "C": 3, "CA": 3, "CBA": 3}
}

func mtaPaths() map[string]uint64 { return map[string]uint64{"D": 2, "SE": 3, "SOE": 5} }

func TestCreditAndValueAreConserved(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		players := make([]player, 1+rng.IntN(40))
		age := int64(0)
		for i := len(players) - 1; i >= 0; i-- {
			age += rng.Int64N(3 * day)
			players[i] = player{class: class(rng.IntN(3)), age: age, halfLife: 1 + rng.Int64N(30*day)}
		}
		value := pick(rng, 0, 1, 2, 99, 12345, rng.Int64N(1<<40), 1<<62)
		var credit, share [NumModels]int64
		creditAll(players, value, func(_ int, m Model, c uint32, v int64) {
			credit[m] += int64(c)
			share[m] += v
		})
		for m := range NumModels {
			if credit[m] != CreditUnit || share[m] != value {
				t.Fatalf("%s of %d players: credit %d, value %d of %d", ModelNames[m], len(players), credit[m], share[m], value)
			}
		}
	}
}

func TestExp2TableIsExact(t *testing.T) {
	root := new(big.Float).SetPrec(200).SetFloat64(0.5)
	unit := new(big.Float).SetPrec(200).SetMantExp(big.NewFloat(1), 64)
	for k, got := range exp2Roots {
		root.Sqrt(root)
		want, _ := new(big.Float).SetPrec(200).Mul(root, unit).Uint64()
		if got != want {
			t.Errorf("root %d is %#x, want %#x", k, got, want)
		}
	}
}

func TestExp2NegNeverRises(t *testing.T) {
	last := exp2Neg(0)
	if last != weightOne {
		t.Fatalf("2^0 is %d", last)
	}
	for x := uint64(0); x < 54<<32; x += 1<<26 + 12345 {
		w := exp2Neg(x)
		if w > last {
			t.Fatalf("2^-%f is more than before", float64(x)/(1<<32))
		}
		last = w
	}
	if last != 0 {
		t.Fatalf("2^-54 is %d", last)
	}
}
