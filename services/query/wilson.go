package query

import (
	"math"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
)

// z95 is the standard normal quantile of a two-sided 95 % interval.
const z95 = 1.959963984540054

// rate returns successes of n with its 95 % Wilson score interval (Wilson 1927); with n = 0 nothing is known: 0 to 1.
func rate(successes, n int64) *aftertouchv1.Rate {
	if n == 0 {
		return &aftertouchv1.Rate{High: 1}
	}
	p, size := float64(successes)/float64(n), float64(n)
	scale := 1 / (1 + z95*z95/size)
	center := scale * (p + z95*z95/(2*size))
	half := scale * z95 * math.Sqrt(p*(1-p)/size+z95*z95/(4*size*size))
	r := &aftertouchv1.Rate{Value: p, Low: max(0, center-half), High: min(1, center+half), N: n}
	// At the ends the bound is exact; rounding must not move it.
	if successes == 0 {
		r.Low = 0
	}
	if successes == n {
		r.High = 1
	}
	return r
}
