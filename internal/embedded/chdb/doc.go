// Package chdb runs the ClickHouse engine inside the process and serves it to clickhouse-go.
//
// The engine is chDB's libchdb.so, loaded without cgo through purego. scripts/engine.sh (`make engine`) brings it, verified, to the user's
// cache; FindLibrary says where it is looked for. In front of it stands an HTTP endpoint on a loopback address that speaks as much of
// ClickHouse's HTTP interface as clickhouse-go and curl use. A program opens the engine and hands DSN to clickhouse.ParseDSN; nothing else
// in the program knows that the engine is embedded.
//
// # What the endpoint promises
//
//   - Access only with the password of this run: other users of the machine can reach the port and get code 516.
//   - A session for each statement. Settings, USE and temporary tables end with it; session_id is refused. The engine runs one statement at
//     a time in a session and sessions beside each other: opening one takes 0.2 ms and costs no thread, so there is no pool, and no state
//     that could pass from one caller to the next. Config.MaxQueries bounds how many run; more wait for their turn.
//   - An error is an error. Before the first row: status 500, X-ClickHouse-Exception-Code and the engine's text. Later: ClickHouse's exception
//     block, after which the body is broken off, so that no client takes it for a shorter result.
//   - An answered insert is durable: async_insert is always off, whatever the client asks for, and fsync_after_insert and fsync_part_directory
//     are on for every MergeTree table. What was answered is there after kill -9. A body that breaks off is not committed.
//   - The end of the client's context or connection ends the statement: it is killed in the engine (KILL QUERY by a token that the endpoint
//     puts into log_comment, which therefore cannot be set by the client). As on a server, an insert that is cancelled while it is being
//     committed may still be there.
//   - Refused in the open, with code 48: sessions, roles, external tables, Content-Encoding other than gzip, deflate, br, zstd.
//   - Server-side parameters (param_x) work, with the escaping of ClickHouse's HTTP interface.
//
// # What was found
//
// About the engine (chDB 26.7.3-stable.1, ClickHouse 26.7.2):
//   - One data directory a process. A second process on the same directory is refused by a lock in it. After the last connection is closed
//     the engine can be opened again, on another directory too; its authors warn that doing this many times corrupts memory on macOS.
//   - It must not install signal handlers (chdb_set_signal_handlers_enabled(0) before the first connection): they would replace the Go runtime's.
//   - A fault inside the engine ends the process. Memory limits are the engine's own and hold: a statement over its limit fails with code 241.
//   - Inline data of an INSERT ends at the first blank line, and what follows is lost without an error. Data never goes to it inline: the
//     endpoint tells it from the statement and streams it (chdb_stream_insert), which also needs no file in between.
//   - Only SELECT streams its result. Other statements with a result (SHOW, DESCRIBE, EXPLAIN) are held in memory whole.
//   - Native blocks are always of revision 0. clickhouse-go decodes at the revision that revision() told it, so DSN names a path (/raw) on
//     which revision() is 0 and blocks pass as they are. On any other path they are decoded and encoded again at client_protocol_version,
//     which costs a quarter of the rows a second.
//   - Of several elements of one name in its configuration file only the first counts. Of its command line, --merge_tree.x has no effect.
//   - It takes its time zone from the environment of the C library, else from the machine, and ignores <timezone>; the package sets UTC.
//   - KILL QUERY ... SYNC never returns: the list keeps a killed statement until its session ends.
//   - An empty result has no columns in Native, so rows.Columns() is empty then.
//   - The embedded engine has no query_log and no replication. Merges and mutations run in the background as on a server.
//   - About 250 MB are resident after the start, most of it the mapped library, which processes share. The program needs glibc (not musl, not a
//     static image).
//
// About clickhouse-go (v2.50) over HTTP:
//   - A time.Time bound to ? loses its milliseconds; use clickhouse.DateNamed with a scale, or compare with fromUnixTimestamp64Milli.
//   - DateTime64 goes through int64 nanoseconds: times after 2262-04-11 wrap around in silence.
//   - A Go map goes out in the order of the iteration: the same map inserted twice is two different values of Map.
//   - A batch is one block, sent whole; PrepareBatch asks DESCRIBE TABLE first, each time. clickhouse.WithColumnNamesAndTypes saves that.
//   - Its error for a failed statement holds *clickhouse.Exception with the engine's number.
package chdb
