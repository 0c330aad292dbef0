package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/apijson"
	"github.com/aftertouch-io/aftertouch/services/query/render"
)

// reportCmd asks a running server for a report.
type reportCmd struct {
	Name       string           `arg:"" help:"Report: performance, exposure, conversions, receipt or health."`
	Client     clientSettings   `embed:""`
	Format     string           `help:"Form of the report: table, csv or json." env:"-"`
	Parameters reportParameters `embed:""`
}

// reportParameters are the reports' parameters, see Parameters and ReceiptRequest in query.proto.
type reportParameters struct {
	From       string   `help:"First day or time, YYYY-MM-DD or RFC 3339; default 30 days before to." env:"-"`
	To         string   `help:"Day or time after the last; default now." env:"-"`
	TZ         string   `name:"tz" help:"Time zone of days, such as Europe/Berlin; default the campaign's." env:"-"`
	Action     string   `help:"Only this action, such as purchase." env:"-"`
	Campaign   string   `help:"Only this campaign." env:"-"`
	Creator    string   `help:"Only this creator." env:"-"`
	Model      string   `help:"Only this model; default all." env:"-"`
	Basis      string   `help:"When credit falls: conversion or touch." env:"-"`
	Within     string   `help:"Window of exposure, such as 30d." env:"-"`
	By         []string `help:"Rows by these: campaign, creator, placement, link, day." env:"-"`
	Limit      int32    `help:"Most rows." env:"-"`
	OrderID    string   `name:"order-id" help:"Order of the receipt." env:"-"`
	OrderScope string   `name:"order-scope" help:"Scope of that order." env:"-"`
	EventID    string   `name:"event-id" help:"Event of the receipt of a conversion without an order." env:"-"`
}

func (r reportParameters) message() *aftertouchv1.Parameters {
	return &aftertouchv1.Parameters{
		From: r.From, To: r.To, Tz: r.TZ, Action: r.Action, Campaign: r.Campaign, Creator: r.Creator, Model: r.Model,
		Basis: r.Basis, Within: r.Within, By: r.By, Limit: r.Limit,
	}
}

func (r reportParameters) receipt() *aftertouchv1.ReceiptRequest {
	return &aftertouchv1.ReceiptRequest{OrderId: r.OrderID, OrderScope: r.OrderScope, EventId: r.EventID, Action: r.Action, Tz: r.TZ}
}

// reports are the methods of QueryService by the reports' names.
var reports = map[string]func(context.Context, aftertouchv1.QueryServiceClient, reportParameters) (proto.Message, error){
	"performance": func(ctx context.Context, c aftertouchv1.QueryServiceClient, p reportParameters) (proto.Message, error) {
		return c.Performance(ctx, p.message())
	},
	"exposure": func(ctx context.Context, c aftertouchv1.QueryServiceClient, p reportParameters) (proto.Message, error) {
		return c.Exposure(ctx, p.message())
	},
	"conversions": func(ctx context.Context, c aftertouchv1.QueryServiceClient, p reportParameters) (proto.Message, error) {
		return c.Conversions(ctx, p.message())
	},
	"receipt": func(ctx context.Context, c aftertouchv1.QueryServiceClient, p reportParameters) (proto.Message, error) {
		return c.Receipt(ctx, p.receipt())
	},
	"health": func(ctx context.Context, c aftertouchv1.QueryServiceClient, p reportParameters) (proto.Message, error) {
		return c.Health(ctx, p.message())
	},
}

func defaultReport() reportCmd { return reportCmd{Client: defaultClient(), Format: render.Table} }

func (c *reportCmd) validate() error {
	var errs []error
	if reports[c.Name] == nil {
		errs = append(errs, fmt.Errorf("there is no report %q; there are %s", c.Name, strings.Join(slices.Sorted(maps.Keys(reports)), ", ")))
	}
	if c.Format != render.Table && c.Format != render.CSV && c.Format != render.JSON {
		errs = append(errs, fmt.Errorf("format is %q: use table, csv or json", c.Format))
	}
	return errors.Join(append(errs, c.Client.validate())...)
}

func (c *reportCmd) run(ctx context.Context, p *program) (err error) {
	conn, ctx, err := c.Client.connect(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	answer, err := reports[c.Name](ctx, aftertouchv1.NewQueryServiceClient(conn), c.Parameters)
	if err != nil {
		e := apijson.ErrorOf(err)
		return fmt.Errorf("asking %s for %s: %s: %s", c.Client.GRPCAddr, c.Name, e.Reason, e.Detail)
	}
	return render.Write(p.out, answer, c.Format)
}
