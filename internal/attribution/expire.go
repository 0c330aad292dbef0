package attribution

import (
	"fmt"

	"github.com/aftertouch-io/aftertouch/internal/event"
)

// Expire drops what the entity keeps from before the horizon (A16), as the entity's next record would. It changes no row
// and nothing that a later record can see, so it may be called at any time, for any entity; the next Commit hands over
// what is left. It is for entities that no record comes to any more.
func (p *Partition) Expire(addr event.Address) error {
	e, err := p.load(addr)
	if err != nil {
		return fmt.Errorf("loading %s: %w", addr.Local(), err)
	}
	if e.base().oldestDay+horizonDays < p.clock.day() {
		e.expire(p)
	}
	return nil
}
