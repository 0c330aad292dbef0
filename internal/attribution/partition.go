package attribution

import (
	"errors"
	"fmt"

	"github.com/aftertouch-io/aftertouch/internal/event"
)

// Config bounds a partition's memory.
type Config struct {
	// CacheBytes is about how much memory decoded entities may take between commits. Default 128 MiB.
	CacheBytes int64
}

// Default returns the configuration for one of a few partitions on one machine.
func Default() Config { return Config{CacheBytes: 128 << 20} }

// Validate reports settings that cannot work.
func (c Config) Validate() error {
	if c.CacheBytes < 0 {
		return fmt.Errorf("cache_bytes %d is negative", c.CacheBytes)
	}
	return nil
}

// Partition decides what the records of one partition mean. It belongs to one goroutine.
//
// State that records changed is kept in memory until Commit. After an error of Apply or Commit the partition is of no
// further use: a new one continues from what was committed.
type Partition struct {
	store Store
	terms Terms
	cfg   Config
	clock clock

	cache      cache
	dirty      []entity
	origins    map[string]*origin
	subjects   map[subject]*subject
	scratch    []byte
	hours      []int64
	candidates []candidate

	// Of the record being applied.
	rec   *event.Record
	out   *Effects
	sends int
}

// NewPartition returns the core of a partition whose state is in the store. It fails when the store does.
func NewPartition(store Store, terms Terms, cfg Config) (*Partition, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	p := &Partition{
		store: store, terms: terms, cfg: cfg, cache: newCache(),
		origins: map[string]*origin{}, subjects: map[subject]*subject{},
	}
	if err := p.loadClock(); err != nil {
		return nil, fmt.Errorf("loading the partition's clock: %w", err)
	}
	return p, nil
}

// Apply applies one record to the entity that it is addressed to and appends what follows to out. Records come in the
// order of their offsets, once each. Content cannot make it fail: an error comes from the store. The record's payload
// must stay as it is until Commit.
func (p *Partition) Apply(rec *event.Record, out *Effects) error {
	p.rec, p.out, p.sends = rec, out, 0
	p.clock.follow(rec.Timestamp)
	if rec.Refusals != nil {
		p.applyRefusals()
		return nil
	}
	e, err := p.load(rec.To)
	if err != nil {
		return fmt.Errorf("loading %s: %w", rec.To.Local(), err)
	}
	if e.base().oldestDay+horizonDays < p.clock.day() {
		e.expire(p)
	}
	if err := e.apply(p); err != nil {
		return fmt.Errorf("applying offset %d to %s: %w", rec.Position.Offset, rec.To.Local(), err)
	}
	return nil
}

func (p *Partition) applyRefusals() {
	r := p.rec.Refusals
	for _, c := range r.GetCounts() {
		p.out.Refusals = append(p.out.Refusals, RefusalRow{
			Workspace: p.rec.To.Workspace, RunID: r.GetRunId(), Hour: r.GetHour(), Transport: c.GetTransport(),
			Reason: c.GetReason(), KeyID: c.GetKeyId(), Count: c.GetCount(), Cause: p.rec.Position,
		})
	}
}

// Commit hands over everything that changed since the last Commit, the partition's clock included.
func (p *Partition) Commit(c Changes) error {
	for _, e := range p.dirty {
		if err := commitEntity(e, c); err != nil {
			return fmt.Errorf("committing %s: %w", e.base().local, err)
		}
		p.cache.resize(e.base())
	}
	clear(p.dirty)
	p.dirty = p.dirty[:0]
	if err := p.saveClock(c); err != nil {
		return fmt.Errorf("committing the partition's clock: %w", err)
	}
	p.cache.evict(p.cfg.CacheBytes)
	return nil
}

// rewriteAbove is the size in bytes from which a state that is mostly garbage is written anew.
const rewriteAbove = 2048

func commitEntity(e entity, c Changes) error {
	s := e.base()
	var err error
	if s.replace || s.size > rewriteAbove && s.garbage > s.size/2 {
		state := e.encode(nil)
		s.size, s.garbage, s.replace = len(state), 0, false
		err = c.Replace(s.addr, state)
	} else if len(s.delta) > 0 {
		err = c.Append(s.addr, s.delta)
	}
	for i := range s.payloads {
		kept := &s.payloads[i]
		err = errors.Join(err, c.PutEvent(s.addr, kept.eventID, kept.logDay, kept.payload))
	}
	clear(s.payloads)
	s.payloads, s.delta, s.dirty = s.payloads[:0], s.delta[:0], false
	return err
}

// load returns the entity, decoded from the store when it is not in memory.
func (p *Partition) load(addr event.Address) (entity, error) {
	if e := p.cache.get(addr); e != nil {
		return e, nil
	}
	state, err := p.store.State(addr)
	if err != nil {
		return nil, err
	}
	var e entity
	if addr.Kind == event.Order {
		e, err = p.decodeOrder(addr, state)
	} else {
		e, err = p.decodePerson(addr, state)
	}
	if err != nil {
		return nil, err
	}
	p.cache.put(e)
	return e, nil
}
