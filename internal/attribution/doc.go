// Package attribution is the pure core: it decides everything of DESIGN sections 4 and 5.
//
// It reads records of the log, changes the state of the one entity that each record is addressed to, and emits rows and
// messages. It has no clock, randomness, I/O or logger: time is the record's, storage is behind Store, the registry
// behind Terms. For a given log the effects are the same for any batching, crash or rebalance; for a given set of
// external events the final journeys are the same in any order of arrival (A1).
//
// The way of a record: partition.go loads the entity that it is addressed to, person.go (visitors, users, clicks'
// pseudo-visitors) or order.go applies it, and what follows is derived once the whole record is applied.
//
//	own.go, facts.go      events addressed to a person, their duplicates, their rows
//	hours.go              the verdict on each touch: eligibility.go, grain.go, cut.go, in the order of A12
//	adopt.go, click.go    whose a redirect's click is
//	links.go, given.go    touches told to linked entities, and heard from them
//	order.go, canonical.go, order_tell.go   what an order's records say together, and who is told
//	conversion.go, journey.go               conversions that a person owns, and what they see
//	credit.go, model_*.go                   credit; a model is a file
//	*_state.go, *_load.go                   state as a sequence of operations
//
// What holds it together:
//
//   - Whatever is decided for good is decided by sets that only grow or by the smallest of an order that does not depend
//     on arrival: links, names, adopters, the winning record of an event.
//   - Whatever may change is a statement of one holder. Statements travel unchanged over any number of links, and of a
//     holder's statements about one thing the one with the highest position wins. So messages may come twice, late, and
//     in circles.
//   - What linked entities were told is not remembered: it is a function of the state before the record.
//   - The verdicts of a person's touches are a function of the set of that person's own touches; they are not stored.
package attribution
