package attribution

// weighPositionBased gives 40 % each to the first and the last touch and 20 % to those between; two touches share
// evenly, one has all.
func weighPositionBased(_ []player, weights []uint64) {
	n := len(weights)
	between := uint64(max(n-2, 0))
	for i := range weights {
		weights[i] = 1
	}
	if between > 0 {
		weights[0], weights[n-1] = 2*between, 2*between
	}
}
