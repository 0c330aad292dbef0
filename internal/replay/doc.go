// Package replay sends history from a file of JSON lines to a collector, each line one event with or without stamps.
//
// Batches travel over one CollectStream, several in flight. What has been acknowledged is remembered beside the file, so
// that an interrupted replay goes on where it stopped; a line without an event id gets one made from its number and
// content, so that lines sent twice count once.
package replay
