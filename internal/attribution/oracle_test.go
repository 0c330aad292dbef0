package attribution

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/event"
	"github.com/google/go-cmp/cmp"
)

// oracle computes final journeys from the set of all events, seen at once: no entities, messages, state or order of
// arrival. It shares with the core only what is a function of one event or one order.
type oracle struct {
	part *Partition
	// own are the winning events of each visitor and user, held the clicks of each visitor, by click.
	own    map[string]map[string]*touch
	held   map[string]map[string]*touch
	links  map[string]map[string]bool
	orders map[string]*order
	// adopters and known say who has a click; bearings is the first event that bore it, by click and visitor.
	bearings map[string]map[string]*bearing
	known    map[string]map[string]bool
	// told is what each holder tells of each touch.
	told map[string]map[touchKey]*statement
	// verdicts of own and held touches, by entity.
	verdicts map[string]map[touchKey]verdict
}

func put[K1, K2 comparable, V any](m map[K1]map[K2]V, a K1, b K2, v V) {
	if m[a] == nil {
		m[a] = map[K2]V{}
	}
	m[a][b] = v
}

func newOracle(t *testing.T, events []external) *oracle {
	part, err := NewPartition(newMemStore(), simTerms(), Default())
	if err != nil {
		t.Fatal(err)
	}
	o := &oracle{
		part: part, own: map[string]map[string]*touch{}, held: map[string]map[string]*touch{},
		links: map[string]map[string]bool{}, orders: map[string]*order{}, bearings: map[string]map[string]*bearing{},
		known: map[string]map[string]bool{}, told: map[string]map[touchKey]*statement{},
		verdicts: map[string]map[touchKey]verdict{},
	}
	for _, e := range events {
		value, err := event.EncodeEvent(e.event)
		if err != nil {
			t.Fatal(err)
		}
		var rec event.Record
		if err := event.Decode([]byte(e.to.Key()), value, &rec); err != nil {
			t.Fatal(err)
		}
		part.rec = &rec
		if e.to.Kind == event.Order {
			o.orderRecord(e.to, rec.Event)
		} else {
			o.touchRecord(e.to, rec.Event)
		}
	}
	o.hold()
	for entity := range o.entities() {
		o.judge(entity)
	}
	return o
}

func (o *oracle) touchRecord(to event.Address, e *aftertouchv1.Event) {
	v := newPerson(to)
	t := o.part.touchOf(v, event.KindOf(e), e)
	if old := o.own[v.local][t.id]; old == nil || betterRecord(t.received, t.hash, old.received, old.hash) {
		put(o.own, v.local, t.id, &t)
	}
	if to.IsClick() && e.VisitorId != "" {
		put(o.known, v.clickID(), e.VisitorId, true)
	}
	if !v.isVisitor() {
		return
	}
	if e.UserKey != "" {
		put(o.links, v.local, "u:"+e.UserKey, true)
	}
	o.bear(to.ID, bearingOf(o.part, to.Workspace, e, t.time, t.received))
}

func (o *oracle) bear(visitor string, b *bearing) {
	if b == nil {
		return
	}
	if old := o.bearings[b.click.id][visitor]; old == nil || b.rank.Compare(old.rank) < 0 {
		put(o.bearings, b.click.id, visitor, b)
	}
	if b.tokenVisitor != "" && b.tokenVisitor != visitor {
		put(o.links, "v:"+b.tokenVisitor, "v:"+visitor, true)
	}
}

func (o *oracle) orderRecord(to event.Address, e *aftertouchv1.Event) {
	ord := o.orders[to.Local()]
	if ord == nil {
		ord = &order{entityState: entityState{addr: to, local: to.Local()}, answers: map[string]*clickAnswer{}}
		o.orders[to.Local()] = ord
	}
	r := o.part.orderRecordOf(e)
	if e.VisitorId != "" {
		ord.visitors = append(ord.visitors, e.VisitorId)
		o.bear(e.VisitorId, bearingOf(o.part, to.Workspace, e, r.time, r.received))
	}
	if e.UserKey != "" && !slices.Contains(ord.users, e.UserKey) {
		ord.users = append(ord.users, e.UserKey)
	}
	for _, v := range ord.visitors {
		for _, u := range ord.users {
			put(o.links, "v:"+v, "u:"+u, true)
		}
	}
	i := slices.IndexFunc(ord.records, func(old *orderRecord) bool { return old.id == r.id })
	if i < 0 {
		ord.records = append(ord.records, r)
		return
	}
	switch old := ord.records[i]; {
	case betterRecord(r.received, r.hash, old.received, old.hash):
		*old = *r
	}
}

// hold gives each click to those who adopted it and to those whom the redirect knew.
func (o *oracle) hold() {
	for click, adopters := range o.bearings {
		for visitor, b := range adopters {
			t := b.click
			t.subject = &subject{t.entity, visitor}
			put(o.held, "v:"+visitor, click, &t)
		}
	}
	for local, own := range o.own {
		id, ok := strings.CutPrefix(local, "v:~c/")
		if !ok || own[id] == nil {
			continue
		}
		holders := maps.Clone(o.known[id])
		if holders == nil {
			holders = map[string]bool{}
		}
		for visitor := range o.bearings[id] {
			holders[visitor] = true
		}
		for visitor := range holders {
			t := *own[id]
			t.subject = &subject{t.entity, visitor}
			put(o.held, "v:"+visitor, id, &t)
		}
	}
}

func (o *oracle) entities() map[string]bool {
	all := map[string]bool{}
	for local := range o.own {
		all[local] = true
	}
	for local := range o.held {
		all[local] = true
	}
	return all
}

func (o *oracle) touches(entity string) []*touch {
	all := slices.AppendSeq(slices.Collect(maps.Values(o.own[entity])), maps.Values(o.held[entity]))
	slices.SortFunc(all, compareTouches)
	return all
}

// judge applies A12 to what one entity has itself, filter by filter.
func (o *oracle) judge(entity string) {
	all := o.touches(entity)
	is := map[*touch]verdict{}
	for _, t := range all {
		is[t] = o.part.ownVerdict("shop", t)
	}
	for _, t := range all {
		if is[t] == takesPart && t.kind == event.KindVisit && o.showsClick(entity, t, all) {
			is[t] = isClickEvidence
		}
	}
	type group struct {
		half       int64
		kind       event.Kind
		link, spot string
	}
	type bucket struct {
		hour int64
		kind event.Kind
	}
	seen, count, quiet := map[group]bool{}, map[bucket]int{}, map[bucket]int{}
	for _, t := range all {
		g, b := group{t.time / halfHour, t.kind, t.origin.link, t.origin.placement}, bucket{t.time / hour, t.kind}
		if is[t] == takesPart {
			if seen[g] {
				is[t] = isSameHalfHour
			} else if count[b]++; count[b] > 20 {
				is[t] = isCut
			}
			seen[g] = true
		}
		put(o.verdicts, entity, touchKey{t.entity, t.id}, is[t])
		if is[t] == isNoTouch || is[t] == isCut {
			continue
		}
		if is[t] != takesPart {
			if quiet[b]++; quiet[b] > 20 {
				continue
			}
		}
		put(o.told, entity, touchKey{t.entity, t.id}, &statement{touch: *t, holder: entity, verdict: is[t]})
	}
}

func (o *oracle) showsClick(entity string, visit *touch, all []*touch) bool {
	for _, c := range all {
		if c.kind != event.KindClick || o.part.ownVerdict("shop", c) != takesPart {
			continue
		}
		if o.held[entity][visit.click] == c {
			return true
		}
		if c.origin.link != "" && c.origin.link == visit.origin.link && c.time <= visit.time && visit.time <= c.time+30*minute {
			return true
		}
	}
	return false
}

// reaching returns the visitors whose touches reach an entity over any number of links.
func (o *oracle) reaching(entity string) map[string]bool {
	reach := map[string]bool{}
	for grew := true; grew; {
		grew = false
		for from, targets := range o.links {
			for to := range targets {
				if (to == entity || reach[to]) && !reach[from] && from != entity {
					reach[from], grew = true, true
				}
			}
		}
	}
	return reach
}

// candidates are the touches that a person has or is given.
func (o *oracle) candidates(person string) map[touchKey]candidate {
	best := map[touchKey]*statement{}
	for holder := range o.reaching(person) {
		for key, s := range o.told[holder] {
			if best[key] == nil || compareStatements(s, best[key]) < 0 {
				best[key] = s
			}
		}
	}
	all := map[touchKey]candidate{}
	for key, s := range best {
		all[key] = candidate{touch: &s.touch, verdict: s.verdict}
	}
	for _, t := range o.touches(person) {
		key := touchKey{t.entity, t.id}
		if is := o.verdicts[person][key]; is != isNoTouch {
			all[key] = candidate{touch: t, verdict: is}
		}
	}
	return all
}

// answer is who a click belongs to.
func (o *oracle) answer(click string) *clickAnswer {
	a := &aftertouchv1.ClickAnswer{ClickEventId: click}
	if t := o.own["v:~c/"+click][click]; t != nil {
		a.Click, a.Visitor = t.proto(), t.visitor
	}
	var first *bearing
	for visitor, b := range o.bearings[click] {
		if first == nil || b.rank.Compare(first.rank) < 0 {
			first, a.Visitor = b, visitor
		}
	}
	return &clickAnswer{answer: a}
}

func (o *oracle) journeys() string {
	byPerson := map[string][]*aftertouchv1.CanonicalConversion{}
	for _, ord := range o.orders {
		ord.summarize()
		for click := range maps.Keys(o.bearings) {
			ord.answers[click] = o.answer(click)
		}
		for i := range 4 {
			ord.answers[fmt.Sprint("click", i)] = o.answer(fmt.Sprint("click", i))
		}
		c := ord.canonicalConversion(o.part)
		person := ownerOf("shop", c).Local()
		byPerson[person] = append(byPerson[person], c)
	}
	var lines []string
	for person, conversions := range byPerson {
		slices.SortFunc(conversions, func(a, b *aftertouchv1.CanonicalConversion) int {
			return compareConversions(&conversion{order: a.Order, canonical: a}, &conversion{order: b.Order, canonical: b})
		})
		days := map[int64]int{}
		for _, c := range conversions {
			days[c.Time/day]++
			lines = append(lines, o.journey(person, c, person != "" && days[c.Time/day] > 50))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func (o *oracle) journey(person string, c *aftertouchv1.CanonicalConversion, cut bool) string {
	j := Journey{Order: orderAddress("shop", c.Order), Conversion: c, Status: Unattributed}
	if person != "" {
		j.Person, _ = event.ParseLocal("shop", person)
	}
	switch {
	case c.Excluded != "":
		j.Status, j.Reason = Excluded, c.Excluded
		return "journey " + journeyText(&j)
	case cut:
		j.Reason = ReasonCut
		return "journey " + journeyText(&j)
	}
	all := map[touchKey]candidate{}
	if person != "" {
		all = o.candidates(person)
	}
	for _, m := range append([]*aftertouchv1.Touch{c.Click}, c.Codes...) {
		if m == nil {
			continue
		}
		t := o.part.touchFromProto("shop", m)
		if _, ok := all[touchKey{t.entity, t.id}]; !ok {
			all[touchKey{t.entity, t.id}] = candidate{touch: &t, verdict: o.part.ownVerdict("shop", &t)}
		}
	}
	var players []player
	for _, a := range slices.SortedFunc(maps.Values(all), func(a, b candidate) int { return compareTouches(a.touch, b.touch) }) {
		if a.touch.time > c.Time || a.touch.time < c.Time-90*day {
			continue
		}
		row := JourneyTouch{Touch: a.touch.proto(), Reason: a.verdict.reason()}
		if row.Reason == "" {
			terms := o.part.termsOf("shop", a.touch.origin)
			if c.Time-a.touch.time > terms.window(a.touch.kind) {
				row.Reason = ReasonOutsideWindow
			} else {
				row.Eligible = true
				players = append(players, player{classOf(a.touch.kind), c.Time - a.touch.time, terms.HalfLife})
			}
		}
		j.Touches = append(j.Touches, row)
	}
	switch {
	case len(players) > 0:
		j.Status = Attributed
		creditAll(players, c.ValueMinor, func(i int, m Model, credit uint32, value int64) {
			for k := range j.Touches {
				if j.Touches[k].Eligible {
					if i == 0 {
						j.Touches[k].Credit[m], j.Touches[k].ValueMinor[m] = credit, value
						return
					}
					i--
				}
			}
		})
	case len(j.Touches) > 0:
		j.Reason = ReasonNoEligibleTouch
	case person == "":
		j.Reason = ReasonNoPerson
	default:
		j.Reason = ReasonNoTouch
	}
	return "journey " + journeyText(&j)
}

func TestFinalJourneysAreThoseOfTheWholeSetOfEvents(t *testing.T) {
	for seed := range uint64(simSeeds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			events := simEvents(seed)
			s := newSimulation(t, seed, &simLog{make([][]logRecord, 1+seed%4)}, simTerms())
			s.maxBatch, s.repeats = 8, true
			s.run(events)
			var got []string
			for _, j := range s.tables.journeys {
				got = append(got, "journey "+journeyText(&j))
			}
			slices.Sort(got)
			if diff := cmp.Diff(newOracle(t, events).journeys(), strings.Join(got, "\n")); diff != "" {
				t.Fatalf("-oracle +core:\n%s", diff)
			}
		})
	}
}
