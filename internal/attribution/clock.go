package attribution

import (
	"encoding/binary"
	"fmt"

	"github.com/aftertouch-io/aftertouch/internal/event"
)

// clock is a partition's clock (D8), a function of its log: it follows the highest timestamp seen, by at most 1 h a
// record, so that one wrong timestamp cannot make state expire. Its unit is the Unix millisecond; zero has seen nothing.
type clock int64

// horizonDays is how long state is kept (A16): 90 d of window, 90 d and 30 d of lateness. One day more, because days
// are counted whole.
const horizonDays = 211

// clockAddress is where the clock is kept in the store. No client can send to it.
var clockAddress = event.Address{Workspace: "~", Kind: event.Visitor, ID: "~clock"}

func (c *clock) follow(timestamp int64) {
	switch now := int64(*c); {
	case now == 0:
		*c = clock(max(timestamp, 1))
	case timestamp > now:
		*c = clock(min(timestamp, now+hour))
	}
}

// day returns the clock's UTC day since 1970.
func (c clock) day() uint16 { return dayOf(int64(c)) }

func dayOf(ms int64) uint16 { return uint16(min(max(ms/day, 0), 1<<16-1)) }

func (p *Partition) loadClock() error {
	state, err := p.store.State(clockAddress)
	if err != nil || len(state) == 0 {
		return err
	}
	if len(state) != 8 {
		return fmt.Errorf("%w: clock of %d bytes", errCorrupt, len(state))
	}
	p.clock = clock(binary.BigEndian.Uint64(state))
	return nil
}

func (p *Partition) saveClock(c Changes) error {
	if p.clock == 0 {
		return nil
	}
	return c.Replace(clockAddress, binary.BigEndian.AppendUint64(nil, uint64(p.clock)))
}
