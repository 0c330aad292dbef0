package attribution

import (
	"github.com/aftertouch-io/aftertouch/internal/event"
)

// entity is a visitor, user, click or order in memory.
type entity interface {
	base() *entityState
	// apply applies the partition's current record.
	apply(p *Partition) error
	// expire drops what was seen more than the horizon ago.
	expire(p *Partition)
	// encode appends the operations that make the entity.
	encode(b []byte) []byte
	// memory returns about how many bytes the entity takes.
	memory() int64
}

// entityState is what the partition keeps of every entity.
type entityState struct {
	addr  event.Address
	local string
	// delta holds the operations since the last Commit; size counts the bytes of all of them, garbage those of replaced
	// ones. With replace set the next Commit writes the entity whole.
	delta         []byte
	size, garbage int
	replace       bool
	payloads      []payload
	dirty         bool
	// oldestDay is a bound below which nothing in the entity was seen; the largest day when it keeps nothing that expires.
	oldestDay uint16

	newer, older entity
	cost         int64
}

// payload is an event that waits for Commit.
type payload struct {
	eventID string
	logDay  uint16
	payload []byte
}

// noDay is the oldestDay of an entity that keeps nothing that expires.
const noDay = 1<<16 - 1 - horizonDays

// change appends an operation's bytes, which f writes, to the entity's delta.
func (p *Partition) change(e entity, f func(b []byte) []byte) {
	s := e.base()
	if !s.dirty {
		s.dirty = true
		p.dirty = append(p.dirty, e)
	}
	n := len(s.delta)
	s.delta = f(s.delta)
	s.size += len(s.delta) - n
}

// rewrite makes the next Commit write the entity whole.
func (p *Partition) rewrite(e entity) {
	p.change(e, func(b []byte) []byte { return b })
	e.base().replace = true
}

// cache holds decoded entities. Between commits it only grows: what is dirty is nowhere else.
type cache struct {
	entities       map[event.Address]entity
	newest, oldest entity
	total          int64
}

func newCache() cache { return cache{entities: map[event.Address]entity{}} }

func (c *cache) get(addr event.Address) entity {
	e := c.entities[addr]
	if e != nil && e != c.newest {
		c.unlink(e)
		c.link(e)
	}
	return e
}

func (c *cache) put(e entity) {
	s := e.base()
	c.entities[s.addr] = e
	s.cost = e.memory()
	c.total += s.cost
	c.link(e)
}

func (c *cache) link(e entity) {
	s := e.base()
	s.newer, s.older = nil, c.newest
	if c.newest != nil {
		c.newest.base().newer = e
	} else {
		c.oldest = e
	}
	c.newest = e
}

func (c *cache) unlink(e entity) {
	s := e.base()
	if s.newer != nil {
		s.newer.base().older = s.older
	} else {
		c.newest = s.older
	}
	if s.older != nil {
		s.older.base().newer = s.newer
	} else {
		c.oldest = s.newer
	}
	s.newer, s.older = nil, nil
}

// resize accounts for what an entity gained.
func (c *cache) resize(s *entityState) {
	e := c.entities[s.addr]
	cost := e.memory()
	c.total += cost - s.cost
	s.cost = cost
}

// evict drops the entities that were used longest ago until the rest fits. Nothing may be dirty.
func (c *cache) evict(bound int64) {
	for c.total > bound && c.oldest != nil {
		e := c.oldest
		c.unlink(e)
		c.total -= e.base().cost
		delete(c.entities, e.base().addr)
	}
}
