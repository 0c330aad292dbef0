// Package store is the ClickHouse side of the commit protocol (DESIGN section 6): the schema and its migrations, the
// columnar inserts of the attributor, and the readings that several services need.
//
// Rows are written under an identity and a version that are functions of the log, into ReplacingMergeTree tables that are
// read with FINAL. Writing a batch again, whole or in part, therefore changes nothing that can be read.
package store
