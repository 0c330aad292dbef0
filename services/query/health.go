package query

import (
	"context"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/event"
	"github.com/aftertouch-io/aftertouch/internal/registry"
	"github.com/aftertouch-io/aftertouch/internal/store"
	"golang.org/x/sync/errgroup"
)

// Health implements the report health.
func (s *Service) Health(ctx context.Context, p *aftertouchv1.Parameters) (*aftertouchv1.HealthResponse, error) {
	return report(ctx, s, "health", registry.ScopeRead, func(ctx context.Context, workspace string) (*aftertouchv1.HealthResponse, error) {
		r, err := s.parse(workspace, p, nil, nil)
		if err != nil {
			return nil, err
		}
		return s.health(ctx, r, p)
	})
}

func (s *Service) health(ctx context.Context, r *request, p *aftertouchv1.Parameters) (*aftertouchv1.HealthResponse, error) {
	ctx = s.statementContext(ctx, r)
	ends := s.ends(ctx)
	version, progress, err := s.dataVersion(ctx)
	if err != nil {
		return nil, err
	}
	reading, err := store.NewReading(ctx, s.conn, r.workspace, r.from, r.to, r.touches)
	if err != nil {
		return nil, err
	}
	args := map[string]any{"FactHours": reading.FactHours(r.grain()), "From": instant(reading.From), "To": instant(reading.To)}
	var (
		accepted, flagged, refused []*aftertouchv1.HealthRow
		credit                     *credit
	)
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) { accepted, err = s.accepted(gctx, args); return err })
	g.Go(func() (err error) { flagged, err = s.flagged(gctx, args); return err })
	g.Go(func() (err error) { refused, err = s.refused(gctx, args); return err })
	g.Go(func() (err error) { credit, err = s.creditTotals(gctx, r, reading); return err })
	if err := g.Wait(); err != nil {
		return nil, err
	}
	answer := &aftertouchv1.HealthResponse{
		Report: "health", Parameters: r.parameters(p), DataVersion: version, Totals: credit.filterTotals(),
		Rows: append(append(accepted, refused...), flagged...),
	}
	for _, x := range progress {
		answer.Partitions = append(answer.Partitions, partitionHealth(x, ends, r.now.UnixMilli()))
	}
	return answer, nil
}

// ends asks the log where it ends; nil when it cannot be asked.
func (s *Service) ends(ctx context.Context) map[int32]int64 {
	if s.logEnds == nil {
		return nil
	}
	ends, err := s.logEnds(ctx)
	if err != nil {
		s.log.Warn("asking the log for its ends failed", "error", err)
		return nil
	}
	return ends
}

// partitionHealth compares progress with the ends of the log, which were read before.
func partitionHealth(p partitionProgress, ends map[int32]int64, nowMs int64) *aftertouchv1.PartitionHealth {
	h := &aftertouchv1.PartitionHealth{Partition: p.partition, NextOffset: p.next, AppliedTime: formatMillis(p.appliedMs), LagRecords: -1}
	if end, ok := ends[p.partition]; ok {
		if h.LagRecords = max(0, end-p.next); h.LagRecords > 0 {
			h.LagMs = max(0, nowMs-p.appliedMs)
		}
	}
	return h
}

// accepted lists accepted events, and the further records of them, by kind.
func (s *Service) accepted(ctx context.Context, args map[string]any) (list []*aftertouchv1.HealthRow, err error) {
	var duplicates []*aftertouchv1.HealthRow
	err = s.each(ctx, "accepted events", statement("accepted.sql", args), func(rows driver.Rows) error {
		var (
			kind                     string
			events, further, invalid uint64
		)
		if err := rows.Scan(&kind, &events, &further, &invalid); err != nil {
			return err
		}
		if events > 0 {
			list = append(list, &aftertouchv1.HealthRow{
				Outcome: "accepted", Kind: kind, Gross: int64(events + further), Net: int64(events) - int64(invalid),
			})
		}
		if further > 0 {
			duplicates = append(duplicates, &aftertouchv1.HealthRow{Outcome: "duplicate", Kind: kind, Gross: int64(further)})
		}
		return nil
	})
	return append(list, duplicates...), err
}

// flagged lists events by kind and flag. Invalid traffic is never net.
func (s *Service) flagged(ctx context.Context, args map[string]any) (list []*aftertouchv1.HealthRow, err error) {
	err = s.each(ctx, "flagged events", statement("flagged.sql", args), func(rows driver.Rows) error {
		var (
			kind, flag string
			n          uint64
		)
		if err := rows.Scan(&kind, &flag, &n); err != nil {
			return err
		}
		row := &aftertouchv1.HealthRow{Outcome: "flagged", Kind: kind, Reason: flag, Gross: int64(n), Net: int64(n)}
		if flag == event.FlagRobot {
			row.Net = 0
		}
		list = append(list, row)
		return nil
	})
	return list, err
}

// refused lists what the collectors refused, by transport and reason.
func (s *Service) refused(ctx context.Context, args map[string]any) (list []*aftertouchv1.HealthRow, err error) {
	err = s.each(ctx, "refusals", statement("refused.sql", args), func(rows driver.Rows) error {
		var (
			transport, reason string
			n                 int64
		)
		if err := rows.Scan(&transport, &reason, &n); err != nil {
			return err
		}
		list = append(list, &aftertouchv1.HealthRow{Outcome: "refused", Kind: transport, Reason: reason, Gross: n})
		return nil
	})
	return list, err
}
