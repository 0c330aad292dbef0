package attribution

import "math/bits"

// weighTimeDecay gives each touch 2^(-age/half-life) by its own campaign's half-life. The exponents are relative to the
// largest, so that the best touch weighs 1 however old all are, and integers, so that every architecture gives the same.
func weighTimeDecay(players []player, weights []uint64) {
	lowest := ^uint64(0)
	for i, p := range players {
		weights[i] = halvings(p.age, p.halfLife)
		lowest = min(lowest, weights[i])
	}
	for i := range weights {
		weights[i] = exp2Neg(weights[i] - lowest)
	}
}

// halvings returns age/halfLife with 32 binary places; what is over 2^31 halvings counts as that.
func halvings(age, halfLife int64) uint64 {
	a, h := uint64(max(age, 0)), uint64(max(halfLife, 1))
	hi, lo := a>>32, a<<32
	if hi >= h {
		return 1 << 63
	}
	q, _ := bits.Div64(hi, lo, h)
	return min(q, 1<<63)
}

// weightOne is the weight of a touch without decay.
const weightOne = 1 << 52

// exp2Neg returns 2^-x in units of 1/weightOne, for an x with 32 binary places.
func exp2Neg(x uint64) uint64 {
	whole, fraction := x>>32, uint32(x)
	if whole > 52 {
		return 0
	}
	r := uint64(1) << 63
	for k := range exp2Roots {
		if fraction&(1<<(31-k)) != 0 {
			r, _ = bits.Mul64(r, exp2Roots[k])
		}
	}
	shift := 63 - 52 + whole
	return (r + 1<<(shift-1)) >> shift
}

// exp2Roots[k] is 2^(-2^-(k+1)) with 64 binary places, rounded down.
var exp2Roots = [32]uint64{
	0xb504f333f9de6484,
	0xd744fccad69d6af4,
	0xeac0c6e7dd24392e,
	0xf5257d152486cc2c,
	0xfa83b2db722a033a,
	0xfd3e0c0cf486c174,
	0xfe9e115c7b8f884b,
	0xff4ecb59511ec8a5,
	0xffa756521c8daed1,
	0xffd3a751c0f7e10b,
	0xffe9d2b2f7db2755,
	0xfff4e91bff1b8c3d,
	0xfffa747ea0040664,
	0xfffd3a3b7814eb53,
	0xfffe9d1cc60ddab1,
	0xffff4e8e25879bfa,
	0xffffa7470363f451,
	0xffffd3a37dda0313,
	0xffffe9d1bdf703ae,
	0xfffff4e8debe025e,
	0xfffffa746f4fa150,
	0xfffffd3a37a3f8b0,
	0xfffffe9d1bd1065a,
	0xffffff4e8de845ad,
	0xffffffa746f41376,
	0xffffffd3a37a05e3,
	0xffffffe9d1bd01fb,
	0xfffffff4e8de80c0,
	0xfffffffa746f4050,
	0xfffffffd3a37a024,
	0xfffffffe9d1bd011,
	0xffffffff4e8de808,
}
