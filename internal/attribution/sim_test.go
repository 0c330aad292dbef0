package attribution

import (
	"bytes"
	"cmp"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/event"
)

// memStore keeps entities' state in maps; what one Commit puts becomes visible at once.
type memStore struct {
	states map[string][]byte
	events map[string][]byte
}

func newMemStore() *memStore { return &memStore{map[string][]byte{}, map[string][]byte{}} }

func (s *memStore) State(a event.Address) ([]byte, error) { return s.states[a.Key()], nil }

func (s *memStore) Event(a event.Address, id string, logDay uint16) ([]byte, error) {
	return s.events[eventKey(a, id, logDay)], nil
}

func eventKey(a event.Address, id string, logDay uint16) string {
	return fmt.Sprintf("%s\x00%s\x00%d", a.Key(), id, logDay)
}

func (s *memStore) Append(a event.Address, delta []byte) error {
	key := a.Key()
	s.states[key] = append(s.states[key], delta...)
	return nil
}

func (s *memStore) Replace(a event.Address, state []byte) error {
	s.states[a.Key()] = bytes.Clone(state)
	return nil
}

func (s *memStore) PutEvent(a event.Address, id string, logDay uint16, payload []byte) error {
	s.events[eventKey(a, id, logDay)] = bytes.Clone(payload)
	return nil
}

// fixedTerms answers for every workspace.
type fixedTerms map[string]AgreementTerms

func (t fixedTerms) Agreement(_, id string, version uint32) (AgreementTerms, bool) {
	terms, ok := t[fmt.Sprintf("%s@%d", id, version)]
	return terms, ok
}

// logRecord is one record of a partition's log.
type logRecord struct {
	key, value []byte
	timestamp  int64
}

// simLog is a log of several partitions.
type simLog struct{ partitions [][]logRecord }

func (l *simLog) append(key string, value []byte, timestamp int64) {
	h := fnv.New32a()
	h.Write([]byte(key))
	n := int(h.Sum32() % uint32(len(l.partitions)))
	l.partitions[n] = append(l.partitions[n], logRecord{[]byte(key), value, timestamp})
}

// tables hold rows the way the database does: of the rows with one identity the highest version is valid.
type tables struct {
	facts      map[string]Fact
	journeys   map[string]Journey
	identities map[string]bool
	// Every version ever written, by identity and version.
	factVersions    map[string]Fact
	journeyVersions map[string]Journey
}

func newTables() *tables {
	return &tables{map[string]Fact{}, map[string]Journey{}, map[string]bool{}, map[string]Fact{}, map[string]Journey{}}
}

func compareFactVersions(a, b *Fact) int {
	return cmp.Or(-cmp.Compare(a.ReceivedTime, b.ReceivedTime), -cmp.Compare(a.PayloadHash>>48, b.PayloadHash>>48),
		cmp.Compare(a.Cause.Epoch, b.Cause.Epoch), cmp.Compare(a.ChangedOffset, b.ChangedOffset))
}

func compareJourneyVersions(a, b *Journey) int {
	return cmp.Or(cmp.Compare(a.OrderPosition.Epoch, b.OrderPosition.Epoch),
		cmp.Compare(a.OrderPosition.Offset, b.OrderPosition.Offset), cmp.Compare(a.Position.Offset, b.Position.Offset))
}

// insert checks that a version written again is the same row.
func (d *tables) insert(t testing.TB, e *Effects) {
	t.Helper()
	for _, f := range e.Facts {
		key := f.Entity.Key() + " " + f.Event.EventId
		version := fmt.Sprint(key, f.ReceivedTime, f.PayloadHash, f.ChangedOffset)
		if old, ok := d.factVersions[version]; ok {
			sameText(t, version, fmt.Sprint(old.Cause, old.PreviousTime)+factText(&old), fmt.Sprint(f.Cause, f.PreviousTime)+factText(&f))
		}
		d.factVersions[version] = f
		if old, ok := d.facts[key]; !ok || compareFactVersions(&old, &f) <= 0 {
			d.facts[key] = f
		}
	}
	for _, j := range e.Journeys {
		key := j.Order.Key()
		version := fmt.Sprint(key, j.OrderPosition, j.Position)
		if old, ok := d.journeyVersions[version]; ok {
			sameText(t, version, fmt.Sprint(old.Cause, old.PreviousTime)+journeyText(&old), fmt.Sprint(j.Cause, j.PreviousTime)+journeyText(&j))
		}
		d.journeyVersions[version] = j
		if old, ok := d.journeys[key]; !ok || compareJourneyVersions(&old, &j) <= 0 {
			d.journeys[key] = j
		}
	}
	for _, i := range e.Identities {
		d.identities[i.From.Key()+" -> "+i.To.Key()] = true
	}
}

func sameText(t testing.TB, version, a, b string) {
	t.Helper()
	if a != b {
		t.Fatalf("one version, two rows: %s\n%s\n%s", version, a, b)
	}
}

// history returns every version of every row as text.
func (d *tables) history() string {
	var lines []string
	for version, f := range d.factVersions {
		lines = append(lines, fmt.Sprint("fact ", version, f.Cause, f.LogDay, f.PreviousTime, " ")+factText(&f))
	}
	for version, j := range d.journeyVersions {
		lines = append(lines, fmt.Sprint("journey ", version, j.Cause, j.PreviousTime, " ")+journeyText(&j))
	}
	for i := range d.identities {
		lines = append(lines, "identity "+i)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func factText(f *Fact) string {
	return fmt.Sprintf("%s %s %s time=%d received=%d hash=%x flags=%v duplicates=%d",
		f.Entity.Local(), f.Event.EventId, f.Kind, f.Time, f.ReceivedTime, f.PayloadHash, f.Flags, f.Duplicates)
}

func journeyText(j *Journey) string {
	c := j.Conversion.CloneVT()
	c.OrderPosition = nil
	var b strings.Builder
	fmt.Fprintf(&b, "%s person=%s %s %s omitted=%v\n  %v\n", j.Order.Local(), j.Person.Local(), j.Status, j.Reason, j.Omitted, c)
	for _, t := range j.Touches {
		fmt.Fprintf(&b, "  %s %s %s %s@%d link=%s placement=%s visitor=%s eligible=%v %s credit=%v value=%v flags=%d\n",
			t.Touch.Entity, t.Touch.EventId, t.Touch.Kind, t.Touch.AgreementId, t.Touch.Time, t.Touch.LinkId, t.Touch.PlacementId,
			t.Touch.VisitorId, t.Eligible, t.Reason, t.Credit, t.ValueMinor, t.Touch.Flags)
	}
	return b.String()
}

// final returns all valid rows as text, without what depends on the order of arrival.
func (d *tables) final() string {
	var lines []string
	for _, f := range d.facts {
		lines = append(lines, "fact "+factText(&f))
	}
	for _, j := range d.journeys {
		lines = append(lines, "journey "+journeyText(&j))
	}
	for i := range d.identities {
		lines = append(lines, "identity "+i)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// simPartition is an attributor of one partition: the commit protocol without engines.
type simPartition struct {
	number int
	store  *memStore
	core   *Partition
	next   int
}

func (s *simPartition) restart(t testing.TB, terms Terms, cacheBytes int64) {
	t.Helper()
	core, err := NewPartition(s.store, terms, Config{CacheBytes: cacheBytes})
	if err != nil {
		t.Fatal(err)
	}
	s.core = core
}

// simulation runs attributors over a log until nothing is left to do.
type simulation struct {
	t          testing.TB
	rng        *rand.Rand
	log        *simLog
	partitions []*simPartition
	tables     *tables
	terms      Terms
	// Knobs.
	maxBatch, cacheBytes int
	crashes              bool
	// repeats delivers old messages again, at any later time.
	repeats    bool
	sent       []OutMessage
	replayOnly bool
}

func newSimulation(t testing.TB, seed uint64, log *simLog, terms Terms) *simulation {
	s := &simulation{t: t, rng: rand.New(rand.NewPCG(seed, 7)), log: log, tables: newTables(), terms: terms, maxBatch: 1 << 30, cacheBytes: 1 << 30}
	for n := range log.partitions {
		p := &simPartition{number: n, store: newMemStore()}
		p.restart(t, terms, 1<<30)
		s.partitions = append(s.partitions, p)
	}
	return s
}

// step lets one partition process a batch; false when nobody has anything to do.
func (s *simulation) step() bool {
	var busy []*simPartition
	for _, p := range s.partitions {
		if p.next < len(s.log.partitions[p.number]) {
			busy = append(busy, p)
		}
	}
	if len(busy) == 0 {
		return false
	}
	p := busy[s.rng.IntN(len(busy))]
	n := min(1+s.rng.IntN(s.maxBatch), len(s.log.partitions[p.number])-p.next)
	s.batch(p, n)
	return true
}

// batch follows DESIGN 6, and may crash after each step of it.
func (s *simulation) batch(p *simPartition, n int) {
	s.t.Helper()
	crash := 0
	if s.crashes && s.rng.IntN(3) == 0 {
		crash = 1 + s.rng.IntN(4)
	}
	var out Effects
	var rec event.Record
	for i := p.next; i < p.next+n; i++ {
		lr := s.log.partitions[p.number][i]
		if err := event.Decode(lr.key, lr.value, &rec); err != nil {
			s.t.Fatal(err)
		}
		rec.Position = event.Position{Epoch: 1, Partition: int32(p.number), Offset: int64(i)}
		rec.Timestamp = lr.timestamp
		if err := p.core.Apply(&rec, &out); err != nil {
			s.t.Fatal(err)
		}
	}
	messages := out.Messages
	if crash == 1 {
		messages = messages[:s.rng.IntN(len(messages)+1)]
	}
	if !s.replayOnly {
		for _, m := range messages {
			s.log.append(m.To.Key(), m.Value, s.log.partitions[p.number][p.next+n-1].timestamp)
			if s.repeats {
				s.sent = append(s.sent, m)
				if s.rng.IntN(4) == 0 {
					again := s.sent[s.rng.IntN(len(s.sent))]
					s.log.append(again.To.Key(), again.Value, simStart)
				}
			}
		}
	}
	if crash != 1 && crash != 2 {
		s.tables.insert(s.t, &out)
	}
	if crash == 0 || crash == 4 {
		if err := p.core.Commit(p.store); err != nil {
			s.t.Fatal(err)
		}
		p.next += n
	}
	if crash > 0 {
		p.restart(s.t, s.terms, int64(s.cacheBytes))
	}
}

func (s *simulation) drain() {
	for n := 0; s.step(); n++ {
		if n > 1_000_000 {
			s.t.Fatal("messages go in circles")
		}
	}
}

// external is an event on its way to the log.
type external struct {
	to    event.Address
	event *aftertouchv1.Event
}

// run appends the events in the order given, between batches, and drains.
func (s *simulation) run(events []external) {
	s.t.Helper()
	for i, e := range events {
		value, err := event.EncodeEvent(e.event)
		if err != nil {
			s.t.Fatal(err)
		}
		s.log.append(e.to.Key(), value, simStart+int64(i))
		for s.rng.IntN(3) == 0 && s.step() {
		}
	}
	s.drain()
}

// checkState compares every entity in memory with what its committed state folds to. It ends the simulation: encoding
// numbers an entity's origins anew.
func (s *simulation) checkState() {
	s.t.Helper()
	for _, p := range s.partitions {
		fresh, err := NewPartition(p.store, s.terms, Config{})
		if err != nil {
			s.t.Fatal(err)
		}
		for addr, e := range p.core.cache.entities {
			loaded, err := fresh.load(addr)
			if err != nil {
				s.t.Fatal(err)
			}
			if want, got := e.encode(nil), loaded.encode(nil); !bytes.Equal(want, got) {
				s.t.Fatalf("%s folds to another state:\n%q\n%q", addr.Key(), want, got)
			}
			if v, ok := e.(*person); ok {
				for i, o := range loaded.(*person).own {
					if v.own[i].stated != o.stated {
						s.t.Fatalf("%s: %s is stated at %v, and at %v once loaded", addr.Key(), o.id, v.own[i].stated, o.stated)
					}
				}
			}
		}
	}
}
