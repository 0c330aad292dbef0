// Package eventlog is the project's side of Kafka: the topics and their settings, the writer, plain partition readers, the
// consumer group of the attributors, and dead letters.
//
// Every record of an events topic carries the id of the topic's epoch in the header "epoch" (D8): a topic that was deleted
// and made anew, or a cluster that was restored from another one's copy, is noticed at the first record.
package eventlog
