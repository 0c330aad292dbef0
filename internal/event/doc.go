// Package event holds the domain's words: addresses, kinds, positions, reasons and flags, and the codec of the log's records.
//
// Everything here is pure: no clock, randomness, I/O or logger. The attribution core imports this package and nothing else
// of the project.
package event
