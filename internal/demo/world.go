package demo

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// Creator is one creator of the world and the true effect of having been reached by them.
type Creator struct {
	ID, Name string
	// Reach is the share of people who see the creator's post.
	Reach float64
	// Viewable is the share of those for whom the post was long enough on screen to count as seen.
	Viewable float64
	// ClickRate is the share of those reached who follow the link.
	ClickRate float64
	// Lift is the probability that reaching a person makes them buy.
	Lift float64
}

// Plan is what the world is made from.
type Plan struct {
	Seed     uint64
	People   int
	Creators []Creator
	// Base is the share of people who buy whether or not anybody reaches them.
	Base float64
	// Now ends the history; it began History ago.
	Now     time.Time
	History time.Duration
}

// DefaultPlan is the world of `make demo`: one creator who moves people, one who mostly reaches those who would have
// bought anyway, one with a small and faithful audience.
func DefaultPlan(seed uint64, people int, now time.Time) Plan {
	return Plan{
		Seed: seed, People: people, Now: now.UTC().Truncate(time.Millisecond), History: 20 * 24 * time.Hour, Base: 0.03,
		Creators: []Creator{
			{ID: "alma", Name: "Alma Reyes", Reach: 0.30, Viewable: 0.8, ClickRate: 0.12, Lift: 0.08},
			{ID: "ben", Name: "Ben Okafor", Reach: 0.45, Viewable: 0.6, ClickRate: 0.10, Lift: 0},
			{ID: "cleo", Name: "Cleo Marsh", Reach: 0.08, Viewable: 0.9, ClickRate: 0.35, Lift: 0.15},
		},
	}
}

// Exposure is one person reached by one creator.
type Exposure struct {
	Creator int
	Visitor string
	// Impressions are the times at which the post was on screen.
	Impressions []time.Time
	Viewable    bool
	// Click says whether and how the link was followed.
	Click ClickKind
	// ClickTime is zero for a live click.
	ClickTime time.Time
}

// ClickKind is how a click reaches the collector.
type ClickKind uint8

// The two ways: a redirect followed now, or history sent by a backend.
const (
	NoClick ClickKind = iota
	LiveClick
	PastClick
)

// Purchase is one order.
type Purchase struct {
	OrderID    string
	Visitor    string
	ValueMinor int64
	// Time is zero for a purchase that happens live, after the person's live clicks.
	Time time.Time
	// Cause is the creator who made the person buy; -1 when nobody did.
	Cause int
	// Twice says that browser and server both report the order.
	Twice bool
}

// Person is one person with one or two browsers.
type Person struct {
	Visitors []string
	// UserKey is the shop's customer id; empty for people who never log in.
	UserKey   string
	Exposures []Exposure
	Purchase  *Purchase
}

// NewWorld makes the people of a plan.
func NewWorld(plan Plan) []Person {
	rng := rand.New(rand.NewPCG(plan.Seed, 0x61667465726d6174))
	people := make([]Person, plan.People)
	for i := range people {
		people[i] = plan.person(rng, i)
	}
	return people
}

func (plan Plan) person(rng *rand.Rand, n int) Person {
	p := Person{Visitors: []string{fmt.Sprintf("v-%d-%06d-a", plan.Seed, n)}}
	if rng.Float64() < 0.25 {
		p.Visitors = append(p.Visitors, fmt.Sprintf("v-%d-%06d-b", plan.Seed, n))
		p.UserKey = fmt.Sprintf("customer-%d-%06d", plan.Seed, n)
	}
	for c, creator := range plan.Creators {
		if rng.Float64() < creator.Reach {
			p.Exposures = append(p.Exposures, plan.exposure(rng, c, p.Visitors[0]))
		}
	}
	p.Purchase = plan.purchase(rng, n, p)
	return p
}

func (plan Plan) exposure(rng *rand.Rand, creator int, visitor string) Exposure {
	e := Exposure{Creator: creator, Visitor: visitor, Viewable: rng.Float64() < plan.Creators[creator].Viewable}
	first := plan.Now.Add(-plan.History + time.Duration(rng.Float64()*0.8*float64(plan.History))).Truncate(time.Millisecond)
	for i := range 1 + rng.IntN(3) {
		e.Impressions = append(e.Impressions, first.Add(time.Duration(i)*37*time.Minute))
	}
	if rng.Float64() < plan.Creators[creator].ClickRate {
		e.Click = LiveClick
		if rng.Float64() < 0.5 {
			e.Click, e.ClickTime = PastClick, first.Add(2*time.Hour)
		}
	}
	return e
}

// purchase decides whether a person buys, and why: organic buyers at any time, others after they were reached.
func (plan Plan) purchase(rng *rand.Rand, n int, p Person) *Purchase {
	buy := &Purchase{
		OrderID: fmt.Sprintf("%d-%06d", plan.Seed, n), Visitor: p.Visitors[len(p.Visitors)-1],
		ValueMinor: 1500 + int64(rng.IntN(12000)), Twice: rng.Float64() < 0.4, Cause: -1,
	}
	organic := plan.Now.Add(-time.Duration(rng.Float64() * float64(plan.History))).Truncate(time.Millisecond)
	if rng.Float64() < plan.Base {
		buy.Time = organic
		return buy
	}
	for _, e := range p.Exposures {
		if (e.Viewable || e.Click != NoClick) && rng.Float64() < plan.Creators[e.Creator].Lift {
			buy.Cause = e.Creator
			if e.Click != LiveClick {
				buy.Time = e.first().Add(26 * time.Hour)
			}
			return buy
		}
	}
	return nil
}

func (e Exposure) first() time.Time { return e.Impressions[0] }
