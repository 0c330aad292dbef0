package state

import (
	"encoding/binary"

	"github.com/aftertouch-io/aftertouch/internal/event"
)

// The three keyspaces of a store, by the first byte of the key. The metadata's single key is prefixMeta alone.
const (
	prefixEvent  = 'e'
	prefixMeta   = 'm'
	prefixEntity = 's'
)

// entityKeySize and eventKeySize are exact, so that keys are written straight into a batch.
func entityKeySize(a event.Address) int { return 1 + len(a.Workspace) + 1 + 2 + len(a.ID) }

// appendEntityKey appends the key of an entity's state: the address itself, which cannot collide and keeps the entities
// of a workspace together.
func appendEntityKey(b []byte, a event.Address) []byte {
	b = append(b, prefixEntity)
	return appendAddress(b, a)
}

func appendAddress(b []byte, a event.Address) []byte {
	b = append(b, a.Workspace...)
	b = append(b, '/', byte(a.Kind), ':')
	return append(b, a.ID...)
}

func eventKeySize(a event.Address, eventID string) int {
	return 1 + 2 + 2 + entityKeySize(a) - 1 + len(eventID)
}

// appendEventKey appends the key of an event's payload: log day first, so that a day's payloads are one range that is
// dropped at once; then the address, by length, because it may end in any byte; then the event id.
func appendEventKey(b []byte, a event.Address, eventID string, logDay uint16) []byte {
	b = append(b, prefixEvent)
	b = binary.BigEndian.AppendUint16(b, logDay)
	b = binary.BigEndian.AppendUint16(b, uint16(entityKeySize(a)-1))
	b = appendAddress(b, a)
	return append(b, eventID...)
}

// eventDayKey is the first key of a log day.
func eventDayKey(logDay uint16) []byte {
	return binary.BigEndian.AppendUint16([]byte{prefixEvent}, logDay)
}
