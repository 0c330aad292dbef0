package attribution

import "encoding/binary"

// touchKey is a touch's identity within the workspace.
type touchKey struct{ entity, id string }

// keyed is something that has a touch's identity.
type keyed interface {
	comparable
	touchKey() touchKey
}

// index finds touches by their identity. Most people have few touches, so a list of the ends of their ids is enough for
// them, and cheaper than a map; the others get a map.
type index[T keyed] struct {
	few  []indexed[T]
	many map[touchKey]T
}

type indexed[T keyed] struct {
	tail  uint64
	touch T
}

// manyAbove is the number of touches from which an index is a map.
const manyAbove = 48

// tailOf returns the end of an id: where ids that were made by one scheme differ.
func tailOf(id string) uint64 {
	var b [8]byte
	copy(b[:], id[max(0, len(id)-8):])
	return binary.LittleEndian.Uint64(b[:])
}

// get returns the touch with the identity, or nil.
func (x *index[T]) get(key touchKey) (touch T) {
	if x.many != nil {
		return x.many[key]
	}
	tail := tailOf(key.id)
	for i := range x.few {
		if x.few[i].tail == tail && x.few[i].touch.touchKey() == key {
			return x.few[i].touch
		}
	}
	return touch
}

// put adds a touch whose identity is new.
func (x *index[T]) put(touch T) {
	key := touch.touchKey()
	if x.many != nil {
		x.many[key] = touch
		return
	}
	x.few = append(x.few, indexed[T]{tailOf(key.id), touch})
	if len(x.few) > manyAbove {
		x.many = make(map[touchKey]T, 2*len(x.few))
		for _, e := range x.few {
			x.many[e.touch.touchKey()] = e.touch
		}
		x.few = nil
	}
}

func (x *index[T]) len() int { return len(x.few) + len(x.many) }

// all yields the touches in no order.
func (x *index[T]) all(yield func(T) bool) {
	for _, e := range x.few {
		if !yield(e.touch) {
			return
		}
	}
	for _, touch := range x.many {
		if !yield(touch) {
			return
		}
	}
}

// retain drops the touches that keep rejects.
func (x *index[T]) retain(keep func(T) bool) {
	old := *x
	*x = index[T]{}
	for touch := range old.all {
		if keep(touch) {
			x.put(touch)
		}
	}
}
