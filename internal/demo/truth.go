package demo

import "time"

// Truth is what the generator knows about one creator.
type Truth struct {
	// Exposed people, by the rule of the report: a click, or a viewable impression.
	Exposed int
	// Clicked people, and of the exposed those who bought within 30 days after they were first exposed.
	Clicked, Acted int
	// Caused are the purchases that would not have happened without this creator.
	Caused int
	// CausedMinor is their value in minor units.
	CausedMinor int64
}

// Summary is the truth about a world.
type Summary struct {
	ByCreator  []Truth
	Orders     int
	ValueMinor int64
	// Organic purchases would have happened anyway.
	Organic int
}

// Summarise counts the truth of a world.
func Summarise(plan Plan, people []Person) Summary {
	s := Summary{ByCreator: make([]Truth, len(plan.Creators))}
	for _, p := range people {
		if p.Purchase != nil {
			s.addPurchase(*p.Purchase)
		}
		for _, e := range p.Exposures {
			s.addExposure(plan, e, p.Purchase)
		}
	}
	return s
}

func (s *Summary) addPurchase(b Purchase) {
	s.Orders++
	s.ValueMinor += b.ValueMinor
	if b.Cause < 0 {
		s.Organic++
		return
	}
	s.ByCreator[b.Cause].Caused++
	s.ByCreator[b.Cause].CausedMinor += b.ValueMinor
}

func (s *Summary) addExposure(plan Plan, e Exposure, b *Purchase) {
	t := &s.ByCreator[e.Creator]
	if e.Click != NoClick {
		t.Clicked++
	}
	first, exposed := e.firstExposure(plan.Now)
	if !exposed {
		return
	}
	t.Exposed++
	if b == nil {
		return
	}
	bought := b.Time
	if bought.IsZero() {
		bought = plan.Now
	}
	if !bought.Before(first) && bought.Sub(first) <= 30*24*time.Hour {
		t.Acted++
	}
}

// firstExposure is the first time at which the person saw or clicked; impressions that were not viewable do not count.
func (e Exposure) firstExposure(now time.Time) (time.Time, bool) {
	switch {
	case e.Viewable:
		return e.first(), true
	case e.Click == PastClick:
		return e.ClickTime, true
	case e.Click == LiveClick:
		return now, true
	default:
		return time.Time{}, false
	}
}
