// Package embeddedtest gives tests real engines: a ClickHouse database and a Kafka broker in the test's own process. Nothing is skipped when
// an engine is missing: the test fails and says what to do.
package embeddedtest
