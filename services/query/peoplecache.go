package query

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/aftertouch-io/aftertouch/internal/store"
)

// peopleCache keeps the people of performance over many exposures, where counting takes longer than anybody wants to wait
// for a page: they are counted anew when they are older than Config.PeopleAge.
type peopleCache struct {
	mu      sync.Mutex
	entries map[string]*cachedPeople
}

type cachedPeople struct {
	// turn holds one token: who has it may count.
	turn    chan struct{}
	people  people
	counted time.Time
}

// maxCachedPeople bounds the entries; the oldest one leaves.
const maxCachedPeople = 256

// entry returns the entry of a key and makes room for it.
func (c *peopleCache) entry(key string) *cachedPeople {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[key]; e != nil {
		return e
	}
	if c.entries == nil {
		c.entries = map[string]*cachedPeople{}
	}
	if len(c.entries) >= maxCachedPeople {
		oldest := ""
		for k, e := range c.entries {
			if oldest == "" || e.counted.Before(c.entries[oldest].counted) {
				oldest = k
			}
		}
		delete(c.entries, oldest)
	}
	e := &cachedPeople{turn: make(chan struct{}, 1)}
	c.entries[key] = e
	return e
}

// performancePeople counts the people of performance. exact says that they were counted for this answer.
func (s *Service) performancePeople(ctx context.Context, r *request, reading *store.Reading, exposures uint64) (counts people, exact bool, err error) {
	count := func() (people, error) {
		shape, err := s.graph(ctx, r.workspace)
		if err != nil {
			return nil, err
		}
		q := peopleQuery{}
		return s.people(ctx, q, q.args(r, reading, shape))
	}
	if exposures <= s.cfg.ExactExposures {
		counts, err = count()
		return counts, true, err
	}
	e := s.peopleCache.entry(fmt.Sprint([]any{
		r.workspace, reading.From, reading.To, r.zone.String(), r.action, r.campaign, r.creator, r.within, r.by,
	}))
	select {
	case e.turn <- struct{}{}:
		defer func() { <-e.turn }()
	case <-ctx.Done():
		return nil, false, fmt.Errorf("waiting for the people of the same report: %w", ctx.Err())
	}
	// The clock of the process: what matters is how long ago it was counted, not the time of the report.
	if e.people != nil && time.Since(e.counted) < s.cfg.PeopleAge {
		return e.people, false, nil
	}
	began := time.Now()
	if counts, err = count(); err != nil {
		return nil, false, err
	}
	s.peopleCache.mu.Lock()
	defer s.peopleCache.mu.Unlock()
	e.people, e.counted = counts, began
	return counts, true, nil
}
