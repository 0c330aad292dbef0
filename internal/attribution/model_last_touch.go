package attribution

// weighLastTouch gives all to the newest touch of the best class present (A7).
func weighLastTouch(players []player, weights []uint64) {
	best := 0
	for i, p := range players {
		if p.class <= players[best].class {
			best = i
		}
	}
	weights[best] = 1
}
