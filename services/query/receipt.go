package query

import (
	"context"
	"encoding/hex"
	"math/big"
	"slices"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/apijson"
	"github.com/aftertouch-io/aftertouch/internal/attribution"
	"github.com/aftertouch-io/aftertouch/internal/registry"
	"google.golang.org/grpc/codes"
)

// Receipt implements the report receipt: one conversion explained.
func (s *Service) Receipt(ctx context.Context, p *aftertouchv1.ReceiptRequest) (*aftertouchv1.ReceiptResponse, error) {
	return report(ctx, s, "receipt", registry.ScopeAdmin, func(ctx context.Context, workspace string) (*aftertouchv1.ReceiptResponse, error) {
		r, err := s.parse(workspace, &aftertouchv1.Parameters{Action: p.GetAction(), Tz: p.GetTz(), Format: p.GetFormat()}, nil, nil)
		if err != nil {
			return nil, err
		}
		return s.receipt(ctx, r, p)
	})
}

func (s *Service) receipt(ctx context.Context, r *request, p *aftertouchv1.ReceiptRequest) (*aftertouchv1.ReceiptResponse, error) {
	where, err := receiptWhere(p)
	if err != nil {
		return nil, err
	}
	ctx = s.bind(ctx, clickhouse.Parameters{
		"workspace": r.workspace, "action": r.action, "id": p.GetOrderId() + p.GetEventId(), "scope": p.GetOrderScope(),
	})
	version, _, err := s.dataVersion(ctx)
	if err != nil {
		return nil, err
	}
	var found []*receiptScan
	err = s.each(ctx, "the receipt", statement("receipt.sql", map[string]any{"Where": where + " AND " + r.actionScope()}), func(rows driver.Rows) error {
		var c receiptScan
		found = append(found, &c)
		return rows.Scan(append(c.conversion.dest(), c.dest()...)...)
	})
	if err != nil {
		return nil, err
	}
	if err := checkFound(p, found); err != nil {
		return nil, err
	}
	c := found[0]
	answer := c.proto(r)
	answer.Report, answer.DataVersion, answer.Parameters = "receipt", version, r.parameters(&aftertouchv1.Parameters{Format: p.GetFormat()})
	var revision uint64
	err = s.conn.QueryRow(s.bind(ctx, clickhouse.Parameters{
		"workspace": r.workspace, "order": hex.EncodeToString([]byte(c.order)), "version": c.version.String(),
	}), statement("revision.sql", nil)).Scan(&revision)
	answer.Revision = int32(max(1, revision))
	return answer, err
}

// receiptWhere returns the condition for the conversion asked for.
func receiptWhere(p *aftertouchv1.ReceiptRequest) (string, error) {
	switch {
	case p.GetOrderId() != "" && p.GetEventId() != "":
		return "", badParameter("event_id", "is given beside order_id; name one of them")
	case p.GetOrderId() != "" && p.GetOrderScope() != "":
		return "order_id = {id:String} AND order_scope = {scope:String}", nil
	case p.GetOrderId() != "":
		return "order_id = {id:String}", nil
	case p.GetEventId() != "":
		return "event_id = {id:String}", nil
	default:
		return "", badParameter("order_id", "is missing; name a conversion by order_id, or by event_id when it has none")
	}
}

// checkFound wants exactly one conversion, and says how to name one of several.
func checkFound(p *aftertouchv1.ReceiptRequest, found []*receiptScan) error {
	if len(found) == 0 {
		return apijson.StatusError(codes.NotFound, "not_found",
			"there is no such conversion; a conversion that was just accepted shows within seconds, and health lists what was refused")
	}
	if len(found) == 1 {
		return nil
	}
	var names []string
	for _, c := range found {
		name := "action " + c.conversion.row.Action
		if scope := c.conversion.row.OrderScope; scope != "" {
			name += " with order_scope " + scope
		}
		names = append(names, name)
	}
	slices.Sort(names)
	parameter := "action"
	if p.GetAction() != "" {
		parameter = "order_scope"
	}
	return badParameter(parameter, "several conversions have this id; name one of: %s", strings.Join(slices.Compact(names), ", "))
}

// receiptScan holds one row of receipt.sql.
type receiptScan struct {
	conversion                                                conversionScan
	personKind, cause, order                                  string
	version                                                   big.Int
	kinds, creators, campaigns, agreements, links, placements []string
	times                                                     []int64
	versions                                                  []uint32
	eventIDs, reasons                                         []string
	eligible                                                  []bool
	credits                                                   [][]uint32
	values                                                    [][]int64
	omitted                                                   map[string]uint32
}

func (c *receiptScan) dest() []any {
	return []any{
		&c.personKind, &c.cause, &c.order, &c.version, &c.kinds, &c.times, &c.creators, &c.campaigns, &c.agreements, &c.versions,
		&c.links, &c.placements, &c.eventIDs, &c.eligible, &c.reasons, &c.credits, &c.values, &c.omitted,
	}
}

func (c *receiptScan) proto(r *request) *aftertouchv1.ReceiptResponse {
	conversion := c.conversion.proto(r)
	answer := &aftertouchv1.ReceiptResponse{
		Conversion: conversion, PersonKind: c.personKind, Cause: c.cause, Omitted: map[string]int64{},
	}
	for reason, n := range c.omitted {
		answer.Omitted[reason] = int64(n)
	}
	for i := range c.kinds {
		answer.Touches = append(answer.Touches, c.touch(i))
	}
	o := newOutcomes()
	whole := amount{unit, conversion.ValueMinor}
	shown := amount{}
	if o.add(conversion.Status, conversion.Reason, whole); conversion.Status == attribution.Attributed.String() {
		shown = whole
	}
	answer.Totals = map[string]*aftertouchv1.Totals{conversion.Currency: o.totals(shown)}
	return answer
}

func (c *receiptScan) touch(i int) *aftertouchv1.ReceiptTouch {
	t := &aftertouchv1.ReceiptTouch{
		Time: formatMillis(c.times[i]), Kind: c.kinds[i], Creator: c.creators[i], Campaign: c.campaigns[i],
		Agreement: c.agreements[i], AgreementVersion: int32(c.versions[i]), Link: c.links[i], Placement: c.placements[i],
		Eligible: c.eligible[i], Reason: c.reasons[i], AgeS: (c.conversion.timeMs - c.times[i]) / 1000, EventId: c.eventIDs[i],
		Credit: map[string]string{}, ValueMinor: map[string]int64{},
	}
	for m, name := range attribution.ModelNames {
		t.Credit[name] = decimal(int64(c.credits[m][i]))
		t.ValueMinor[name] = c.values[m][i]
	}
	return t
}
