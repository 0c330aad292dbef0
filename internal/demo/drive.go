package demo

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/timestamppb"
)

const (
	// campaignID is the demo's campaign; agreements, links and placements are named after their creators.
	campaignID = "spring-launch"
	// drivers is the number of people who act at the same time.
	drivers = 16
	browser = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
	robot   = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
	// robots is the number of impressions by a search robot: accepted, flagged and never credited.
	robots = 40
)

// setUp registers the campaign and its creators.
func (c *client) setUp(ctx context.Context, plan Plan) error {
	campaign := map[string]any{
		"campaign_id": campaignID, "name": "Spring launch", "currency": "EUR", "time_zone": "UTC",
		"start": plan.Now.Add(-plan.History - 24*time.Hour).Format(time.RFC3339),
		"end":   plan.Now.Add(90 * 24 * time.Hour).Format(time.RFC3339),
	}
	if err := c.call(ctx, http.MethodPost, "/v1/campaigns", campaign, nil); err != nil {
		return fmt.Errorf("creating the campaign: %w", err)
	}
	for _, creator := range plan.Creators {
		if err := c.setUpCreator(ctx, creator); err != nil {
			return fmt.Errorf("creating %s: %w", creator.ID, err)
		}
	}
	return nil
}

func (c *client) setUpCreator(ctx context.Context, creator Creator) error {
	writes := []struct {
		path string
		body map[string]any
	}{
		{"/v1/creators", map[string]any{"creator_id": creator.ID, "name": creator.Name, "kind": "creator"}},
		{"/v1/agreements", map[string]any{
			"agreement_id": agreementOf(creator), "campaign_id": campaignID, "creator_id": creator.ID, "relation": "paid",
			"view_through": true, "windows": map[string]any{"impression": "259200s"},
			"objective":  map[string]any{"action": "purchase", "target_count": 100},
			"disclosure": map[string]any{"required": true, "form": "#ad"},
		}},
		{"/v1/placements", map[string]any{
			"placement_id": placementOf(creator), "agreement_id": agreementOf(creator), "kind": "post", "name": creator.Name + "'s post",
		}},
		{"/v1/links", map[string]any{
			"link_id": linkOf(creator), "agreement_id": agreementOf(creator), "placement_id": placementOf(creator),
			"target_url": "https://shop.example/spring",
		}},
	}
	for _, w := range writes {
		if err := c.call(ctx, http.MethodPost, w.path, w.body, nil); err != nil {
			return err
		}
	}
	return nil
}

func agreementOf(c Creator) string { return c.ID + "-spring" }
func placementOf(c Creator) string { return c.ID + "-post" }
func linkOf(c Creator) string      { return c.ID + "-link" }

// drive lets everybody live: their impressions, clicks, visits and purchases, each over the interface it would use.
func (c *client) drive(ctx context.Context, plan Plan, people []Person) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(drivers)
	for i, p := range people {
		g.Go(func() error {
			if err := c.live(ctx, plan, p); err != nil {
				return fmt.Errorf("person %d: %w", i, err)
			}
			return nil
		})
	}
	for i := range robots {
		g.Go(func() error {
			return c.pixel(ctx, robot, impression(plan, plan.Creators[1], fmt.Sprintf("robot-%d-%d", plan.Seed, i), plan.Now, true))
		})
	}
	return g.Wait()
}

func (c *client) live(ctx context.Context, plan Plan, p Person) error {
	if p.UserKey != "" {
		login := map[string]any{"visitor_id": p.Visitors[0], "user_key": p.UserKey, "identify": map[string]any{}}
		if err := c.beacon(ctx, login); err != nil {
			return err
		}
	}
	for _, e := range p.Exposures {
		if err := c.expose(ctx, plan, e); err != nil {
			return err
		}
	}
	if p.Purchase == nil {
		return nil
	}
	return c.buy(ctx, p)
}

func (c *client) expose(ctx context.Context, plan Plan, e Exposure) error {
	creator := plan.Creators[e.Creator]
	for _, at := range e.Impressions {
		if err := c.pixel(ctx, browser, impression(plan, creator, e.Visitor, at, e.Viewable)); err != nil {
			return err
		}
	}
	switch e.Click {
	case LiveClick:
		token, err := c.follow(ctx, linkOf(creator))
		if err != nil {
			return err
		}
		return c.beacon(ctx, map[string]any{
			"visitor_id": e.Visitor, "click_id": token, "page_url": "https://shop.example/spring",
			"visit": map[string]any{"session_start": true},
		})
	case PastClick:
		return c.collect(ctx, &aftertouchv1.Event{
			EventId: "click-" + creator.ID + "-" + e.Visitor, VisitorId: e.Visitor, Link: linkOf(creator),
			EventTime: timestamppb.New(e.ClickTime), Kind: &aftertouchv1.Event_Click{Click: &aftertouchv1.Click{}},
		})
	default:
		return nil
	}
}

func impression(plan Plan, creator Creator, visitor string, at time.Time, viewable bool) url.Values {
	q := url.Values{
		"type": {"impression"}, "placement": {placementOf(creator)}, "visitor_id": {visitor},
		"event_id":   {fmt.Sprintf("imp-%d-%s-%d", plan.Seed, creator.ID, at.UnixMilli())},
		"event_time": {at.Format(time.RFC3339Nano)}, "viewability": {"not_viewable"}, "visible_ms": {"300"},
	}
	if viewable {
		q.Set("viewability", "viewable")
		q.Set("visible_ms", "1800")
	}
	return q
}

// buy reports the order from the shop's backend and, for some orders, from the thank-you page too: it counts once.
func (c *client) buy(ctx context.Context, p Person) error {
	b := p.Purchase
	conversion := &aftertouchv1.Conversion{Action: "purchase", OrderId: b.OrderID, ValueMinor: b.ValueMinor, Currency: "EUR"}
	event := &aftertouchv1.Event{
		EventId: "order-" + b.OrderID, VisitorId: b.Visitor, UserKey: p.UserKey,
		Kind: &aftertouchv1.Event_Conversion{Conversion: conversion},
	}
	page := map[string]any{
		"event_id": "thanks-" + b.OrderID, "visitor_id": b.Visitor, "conversion": map[string]any{
			"action": "purchase", "order_id": b.OrderID, "value_minor": strconv.FormatInt(b.ValueMinor, 10), "currency": "EUR",
		},
	}
	if !b.Time.IsZero() {
		event.EventTime = timestamppb.New(b.Time)
		page["event_time"] = b.Time.Format(time.RFC3339Nano)
	}
	if b.Twice {
		if err := c.beacon(ctx, page); err != nil {
			return err
		}
	}
	return c.collect(ctx, event)
}
