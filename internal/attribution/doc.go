// Package attribution is the pure core: it decides everything of DESIGN sections 4 and 5.
//
// It reads records of the log, changes the state of the one entity that each record is addressed to, and emits rows and
// messages. It has no clock, randomness, I/O or logger: time is the record's, storage is behind Store, the registry
// behind Terms. For a given log the effects are the same for any batching, crash or rebalance; for a given set of
// external events the final journeys are the same in any order of arrival (A1).
package attribution
