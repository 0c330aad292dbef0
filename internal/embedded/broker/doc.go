// Package broker runs a Kafka-protocol broker inside the process.
package broker
