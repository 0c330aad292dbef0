package store

import (
	"context"
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Sources of dirty marks: the tables that the derived ones are made from.
const (
	sourceFacts    = "facts"
	sourceJourneys = "journeys"
)

// hourSeconds is an hour in seconds.
const hourSeconds = 3600

// hourKey names what is made anew together.
type hourKey struct {
	workspace, source string
	// logDay is in days, hour in seconds since 1970.
	logDay uint16
	hour   int64
}

// dirtyHour is an hour that is to be made anew, or that a report must read from the rows.
type dirtyHour struct {
	hourKey
	// marks is the sum of the hour's marks: it grows with every change.
	marks uint64
}

// allDirty returns the dirty hours of all workspaces, in the order of their keys.
func allDirty(ctx context.Context, conn driver.Conn) ([]dirtyHour, error) {
	return queryDirty(ctx, conn, statementArgs{})
}

// workspaceDirty returns the dirty hours of one workspace that begin in [from, to), seconds, and the hours named as edges.
func workspaceDirty(ctx context.Context, conn driver.Conn, workspace, source string, from, to int64, edges []int64) ([]dirtyHour, error) {
	ctx = clickhouse.Context(ctx, clickhouse.WithParameters(clickhouse.Parameters{"workspace": workspace, "source": source}))
	return queryDirty(ctx, conn, statementArgs{Workspace: true, FromHour: from, ToHour: to, Edges: edges})
}

func queryDirty(ctx context.Context, conn driver.Conn, args statementArgs) ([]dirtyHour, error) {
	rows, err := conn.Query(ctx, statement("dirty.sql", args))
	if err != nil {
		return nil, fmt.Errorf("reading dirty hours: %w", err)
	}
	defer rows.Close() //nolint:errcheck // Err below reports what matters
	var dirty []dirtyHour
	for rows.Next() {
		var (
			d    dirtyHour
			hour uint32
			done uint64
		)
		if err := rows.Scan(&d.workspace, &d.source, &d.logDay, &hour, &d.marks, &done); err != nil {
			return nil, fmt.Errorf("scanning dirty hours: %w", err)
		}
		d.hour = int64(hour)
		dirty = append(dirty, d)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading dirty hours: %w", err)
	}
	return dirty, nil
}
