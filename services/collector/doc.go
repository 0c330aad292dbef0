// Package collector takes events from browsers and servers, validates and stamps them, and appends them to the log.
//
// Every transport ends in the same batch: decode each event alone, stamp it, append the good ones, answer for each. An event
// is answered with ok only when the brokers acknowledged it or it is in the fsynced spool.
package collector
