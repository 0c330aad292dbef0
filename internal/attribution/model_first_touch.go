package attribution

// weighFirstTouch gives all to the oldest touch of the best class present (A7).
func weighFirstTouch(players []player, weights []uint64) {
	best := 0
	for i, p := range players {
		if p.class < players[best].class {
			best = i
		}
	}
	weights[best] = 1
}
