package attribution

// slabs allocate what a state holds many of, as many at once as the rest of the state can hold.
type slabs struct {
	size       int
	own        []ownTouch
	given      []givenTouch
	statements []statement
}

func (s *slabs) ownTouch() *ownTouch {
	if len(s.own) == 0 {
		s.own = make([]ownTouch, s.size)
	}
	o := &s.own[0]
	s.own = s.own[1:]
	return o
}

func (s *slabs) givenTouch(key touchKey, seenDay uint16) *givenTouch {
	if len(s.given) == 0 {
		s.given = make([]givenTouch, s.size)
	}
	g := &s.given[0]
	s.given = s.given[1:]
	g.key, g.seenDay = key, seenDay
	return g
}

func (s *slabs) statement(first statement) []statement {
	if len(s.statements) == 0 {
		s.statements = make([]statement, s.size)
	}
	one := s.statements[:1:1]
	s.statements = s.statements[1:]
	one[0] = first
	return one
}
