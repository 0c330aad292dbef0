// Package broker runs a Kafka-protocol broker inside the process: franz-go's kfake, with its data on disk and an fsync for every batch before
// it is acknowledged. It listens on a loopback address and knows no users. Clients create their topics (automatic creation is off).
//
// # What it promises
//
//   - An acknowledged record survives kill -9, at its offset. So do topics with their settings and committed offsets.
//   - One process at a time uses a directory: a lock in it says so.
//   - Damage to the log that no kill causes is refused at the start, with the file and position. A write that was cut short at the end
//     of the log was not acknowledged, and is cut off.
//   - Records older than their topic's retention.ms are deleted every Config.RetentionInterval, but never the last record of a partition.
//
// # What was found
//
// About kfake (v0.0.0-20260918054303-01f206a7e32c), and how the package lives with it:
//   - After a crash it held the whole log in memory while it started: 1.6 GB of log took 1.6 GB. Unless a partition has a snapshot that fits its
//     segments; so the package writes those first (recover.go), and files are small. The same log then takes 0.3 GB.
//   - Its own retention may empty a partition. Killed after that, it begins again at offset 0, and gives offsets a second time. It is switched
//     off (log.cleaner.backoff.ms); retention.go keeps the last record. So compaction is off too, and retention.bytes is not honoured.
//   - retention.ms of a topic is 7 days unless set; -1 keeps records for ever. Each batch retained takes 74 bytes of memory: many small batches
//     are dearer than few large ones.
//   - A batch over max.message.bytes (1,048,588 bytes unless the topic says otherwise) is refused with MessageSizeTooLarge.
//   - It ignores the result of fsync. A disk that fails without failing the write goes unnoticed.
//   - After a crash the start of a partition may go back to the beginning of its oldest file: some expired records are seen again.
//   - All requests pass one goroutine. Session timeouts down to 1 s are allowed here (Kafka: 6 s), for tests.
//
// About kafka-go (v0.4.51) against it: ConsumerGroup and Generation, OffsetCommit with its per-partition errors (IllegalGeneration,
// UnknownMemberId), OffsetFetch, ListOffsets by time, CreateTopics, DescribeConfigs, Metadata, headers, timestamps and all five compressions
// work. Different from Apache Kafka: OffsetFetch for a group that never existed answers GroupIdNotFound instead of offset -1. Of kafka-go itself:
// clients without a Transport of their own share one, whose connections to a broker that restarted on its address fail once with an
// unexpected EOF; a Reader's Close waits for its last fetch, up to MaxWait (10 s by default).
package broker
