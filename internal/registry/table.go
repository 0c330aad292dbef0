package registry

import "hash/maphash"

const tableShards = 256

var tableSeed = maphash.MakeSeed()

// table is an immutable map that is cheap to change: an editor copies only the shards it touches.
type table[K comparable, V any] struct {
	shards [tableShards]map[K]V
	size   int
}

func (t *table[K, V]) get(k K) (V, bool) {
	v, ok := t.shards[shardOf(k)][k]
	return v, ok
}

func shardOf[K comparable](k K) int { return int(maphash.Comparable(tableSeed, k) % tableShards) }

// editor makes the next version of a table. Readers of the table it began with are not disturbed.
type editor[K comparable, V any] struct {
	base  *table[K, V]
	next  *table[K, V] // nil while nothing was changed
	owned [tableShards]bool
}

func edit[K comparable, V any](base *table[K, V]) *editor[K, V] {
	return &editor[K, V]{base: base}
}

func (e *editor[K, V]) get(k K) (V, bool) { return e.result().get(k) }

func (e *editor[K, V]) set(k K, v V) {
	if e.next == nil {
		next := *e.base
		e.next = &next
	}
	i := shardOf(k)
	if !e.owned[i] {
		old := e.next.shards[i]
		shard := make(map[K]V, len(old)+1)
		for k, v := range old {
			shard[k] = v
		}
		e.next.shards[i], e.owned[i] = shard, true
	}
	if _, ok := e.next.shards[i][k]; !ok {
		e.next.size++
	}
	e.next.shards[i][k] = v
}

// result returns the table as edited so far.
func (e *editor[K, V]) result() *table[K, V] {
	if e.next != nil {
		return e.next
	}
	return e.base
}
