package attribution

// weighLinear gives every touch the same.
func weighLinear(_ []player, weights []uint64) {
	for i := range weights {
		weights[i] = 1
	}
}
