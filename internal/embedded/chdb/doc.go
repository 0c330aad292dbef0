// Package chdb runs the ClickHouse engine inside the process.
package chdb
