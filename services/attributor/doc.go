// Package attributor owns partitions of the events log: it applies their records, in the order of their offsets, to the state
// of entities, writes the rows that follow to ClickHouse, and tells other entities by appending messages to the same log.
//
// # One assignment
//
// A partition is worked on by a few goroutines of one errgroup. One fetches, one decodes and gathers, and one, which alone
// touches the partition's state, carries batch after batch through the protocol:
//
//	          eventlog                     reader                        partition
//	brokers ----------> fetch ----------> gather ----------> work: 1 apply 2 produce 3 insert 4 commit 5 commit offset
//	         <= 2 fetches ahead   <= 1 batch ahead
//
// Gathering hands a batch over as soon as the partition is idle, but not more often than MinInterval unless it is full:
// alone, a record waits for nothing; under load, a batch is all that came while the last one was written. Fetching and
// decoding overlap with the steps of the batch before; the steps themselves are never reordered or overlapped, because the
// proof below goes through them one by one. Partitions overlap with each other.
//
// # The commit protocol
//
//  1. Read records [a, b) and apply them: state changes gather in a batch of the state's store, uncommitted; rows and
//     messages in memory. Records wait until the registry has what they were stamped with. Records that cannot be applied
//     go to the dead letters. Now and then a few entities that the horizon has passed are looked at, and what they keep
//     for nothing is dropped; that changes no row, so it does not matter when it happens.
//  2. Append the messages to the log, acknowledged by all replicas in sync.
//  3. Insert the rows, acknowledged as durable; the progress row last.
//  4. Commit the state's batch with next offset b, synced, only if the next offset is still a.
//  5. Commit offset b in the group's generation; when that is over, the assignment ends.
//
// A failing step is repeated as it is for a while. After that there is one recovery path, the same one that every restart
// takes: the assignment ends, everything in memory is dropped, and the partition goes on from what is durable.
//
// # Crash after step i
//
//	crash | lost                  | repeated                     | why the result is the same
//	------+-----------------------+------------------------------+---------------------------------------------------------
//	  1   | nothing durable yet   | 1                            | applying is a function of state and log; the state is
//	      |                       |                              | still that of offset a
//	  2   | rows, state           | 1, 2: messages are in the    | a message's id is a function of its cause; its receiver
//	      |                       | log twice                    | knows the id and changes nothing the second time
//	  3   | state                 | 1, 2, 3: rows are inserted   | a row's identity and version are functions of the log, so
//	      |                       | again, perhaps in other      | both copies are one row; tables are read de-duplicated,
//	      |                       | batches                      | and what is derived from them is made from that reading
//	  4   | nothing               | 5, with the next batch       | the state's own next offset decides where to go on, not
//	      |                       |                              | the group's
//	  5   | nothing               | nothing                      |
//
// A crash within a step is one of these: what a step did in part is repeated as a whole. A paused owner that comes back,
// while another member has its partition, does the same steps with the same records: its messages and rows are repetitions,
// its state is its own, and the offset commit tells it to stop.
//
// # Restart
//
// With group offset o, state's next offset p and log [s, e):
//
//	s <= p <= e, and record p-1 is the one remembered    go on at p
//	p < s, no store, or a damaged one                    newest verified snapshot with s <= p <= e, else empty state at s
//	p > e, o > e, another epoch id, or another p-1       refuse to start: log_went_backwards, which names the remedy
//
// The group's offset never decides where to go on: it may be behind the state (crash after step 4) or, with a restored
// snapshot, ahead of it. Applying records again from an earlier offset repeats messages and rows, as above.
package attributor
