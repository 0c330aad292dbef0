// Package state keeps the state of the attributor's entities in Pebble: one store for each partition of the events log,
// at <dir>/<epoch>/<partition>.
//
// A store is a function of its partition's log up to an offset that it knows: [Store.Commit] makes changes and the next
// offset durable in one synced batch, and only if the batch begins where the store ends. So a crash leaves the state
// before a batch or the state after it, and a record is never applied twice to the same state.
//
// # Keys
//
//	m                                              metadata (JSON): epoch, next offset, mark of the last record, clock
//	s <workspace>/<kind>:<id>                      state of an entity
//	e <log day, 2><address length, 2><address><event id>   payload of an event
//
// An entity's state is a concatenation of deltas: a merge operator appends them, so that a touch costs a small write and
// no read, and compactions fold them. Each value begins with the log day of its newest delta, by which sweeps find what
// the horizon has passed. Payloads are ordered by log day: a day that the horizon has passed is one range deletion, and
// new days do not rewrite old ones.
//
// # Snapshots
//
// A snapshot is a checkpoint of a store and a manifest with the size and CRC-32C of every file, written last. It is opened
// once before it counts, and read whole and compared with its manifest before it is restored. On one file system
// snapshots share table files with the store (hard links): they guard against the loss of the store's directory, a damaged
// manifest or write-ahead log, and a store that fell behind the log's retention, not against damage to a shared table
// file. A snapshot directory on another file system holds copies and guards against that too.
package state
