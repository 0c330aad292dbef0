// Package run carries a process from its start to its end: it starts components, tells outside when they are ready, serves
// the ports, and on SIGTERM stops everything in the reverse order within one budget (E9).
package run
