package storetest

import (
	"fmt"
	"time"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/attribution"
	"github.com/aftertouch-io/aftertouch/internal/event"
	"github.com/aftertouch-io/aftertouch/internal/store"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Workspace is the workspace of the fixture.
const Workspace = "shop"

// Start is the time of the fixture's first event: 2026-03-01 12:00 UTC.
var Start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// Key is the identity key of every workspace in tests.
func Key(workspace string) []byte { return []byte("identity key of " + workspace) }

// At returns Start plus d in Unix ms.
func At(d time.Duration) int64 { return Start.Add(d).UnixMilli() }

// Batch returns a batch of partition 1 that fills every column of every table: a fact of each kind, journeys of each
// status, identities and refusals. Each call makes new rows with the same content.
func Batch() *store.Batch {
	return &store.Batch{
		Epoch: 1, Partition: 1, From: 0, To: 100, Timestamp: At(time.Hour), IdentityKey: Key,
		Effects: &attribution.Effects{
			Facts: facts(), Journeys: journeys(), Identities: identities(), Refusals: refusals(),
		},
	}
}

// Touch returns a fact of visitor v1: a click of creator ann, d after Start.
func Touch(eventID string, d time.Duration) attribution.Fact {
	e := &aftertouchv1.Event{
		EventId: eventID, EventTime: timestamppb.New(Start.Add(d)), VisitorId: "v1", Link: "link-1", Placement: "post-1",
		Kind:   &aftertouchv1.Event_Click{Click: &aftertouchv1.Click{}},
		Stamps: stamps(d),
	}
	return Fact(event.VisitorAddress(Workspace, "v1"), e, 10)
}

// Fact returns the fact of an event, caused by the record at offset of partition 1.
func Fact(to event.Address, e *aftertouchv1.Event, offset int64) attribution.Fact {
	return attribution.Fact{
		Entity: to, Event: e, Kind: event.KindOf(e),
		Time: e.GetEventTime().AsTime().UnixMilli(), ReceivedTime: e.GetStamps().GetReceivedTime().AsTime().UnixMilli(),
		PayloadHash: 0x0123456789abcdef, LogDay: uint16(Start.Unix() / 86400), Flags: e.GetStamps().GetFlags(),
		ChangedOffset: offset, Cause: event.Position{Epoch: 1, Partition: 1, Offset: offset},
	}
}

func stamps(d time.Duration) *aftertouchv1.Stamps {
	return &aftertouchv1.Stamps{
		ReceivedTime: timestamppb.New(Start.Add(d + time.Second)), Source: aftertouchv1.Stamps_browser,
		Terms:            &aftertouchv1.Terms{AgreementId: "deal-ann", AgreementVersion: 2, CampaignId: "spring", CreatorId: "ann"},
		WorkspaceVersion: 3, Country: "DE", DeviceClass: "mobile", Channel: "social",
	}
}

func facts() []attribution.Fact {
	visitor := event.VisitorAddress(Workspace, "v1")
	var all []attribution.Fact
	add := func(to event.Address, set func(*aftertouchv1.Event)) {
		n := int64(len(all))
		d := time.Duration(n) * 20 * time.Minute
		e := &aftertouchv1.Event{
			EventId: fmt.Sprintf("event-%d", n), EventTime: timestamppb.New(Start.Add(d)), SentTime: timestamppb.New(Start.Add(d)),
			VisitorId: "v1", UserKey: "5f1e", Link: "link-1", Placement: "post-1", ShareParent: "event-0",
			Consent: &aftertouchv1.Consent{State: aftertouchv1.Consent_granted},
			PageUrl: "https://shop.example/", Referrer: "https://blog.example/post",
			Properties: map[string]string{"theme": "dark", "a": "b"}, Stamps: stamps(d),
		}
		set(e)
		all = append(all, Fact(to, e, n))
	}
	add(visitor, func(e *aftertouchv1.Event) {
		e.Kind = &aftertouchv1.Event_Impression{Impression: &aftertouchv1.Impression{
			Viewability: aftertouchv1.Impression_viewable, VisibleMs: 1500,
		}}
	})
	add(visitor, func(e *aftertouchv1.Event) {
		e.Kind = &aftertouchv1.Event_Visit{Visit: &aftertouchv1.Visit{SessionStart: true}}
		e.Stamps.Click = &aftertouchv1.ClickRef{
			EventId: "click-1", Time: timestamppb.New(Start), LinkId: "link-1", VisitorId: "v1",
		}
	})
	add(event.ClickAddress(Workspace, "event-2"), func(e *aftertouchv1.Event) {
		e.Kind = &aftertouchv1.Event_Click{Click: &aftertouchv1.Click{}}
		e.Stamps.Flags = []string{event.FlagRobot}
	})
	add(visitor, func(e *aftertouchv1.Event) {
		e.Kind = &aftertouchv1.Event_Engagement{Engagement: &aftertouchv1.Engagement{Type: "like", Reaction: "heart", Topic: "shoes"}}
	})
	add(event.OrderAddress(Workspace, "purchase", "de", "1001"), func(e *aftertouchv1.Event) {
		e.Kind = &aftertouchv1.Event_Conversion{Conversion: conversion()}
		e.Stamps.Source = aftertouchv1.Stamps_server
		e.Stamps.CodeTerms = []*aftertouchv1.CodeTerms{
			{Code: "ANN10", Terms: e.Stamps.Terms}, {Code: "UNKNOWN"},
		}
		e.Stamps.Flags = []string{event.FlagUnknownCode}
	})
	add(event.OrderAddress(Workspace, "purchase", "de", "1001"), func(e *aftertouchv1.Event) {
		e.Kind = &aftertouchv1.Event_Adjustment{Adjustment: &aftertouchv1.Adjustment{
			Id: "refund-1", Type: aftertouchv1.Adjustment_refund, Action: "purchase", OrderId: "1001", OrderScope: "de",
			EventId: "event-4", ValueMinor: 500, Currency: "EUR",
		}}
	})
	add(visitor, func(e *aftertouchv1.Event) { e.Kind = &aftertouchv1.Event_Identify{Identify: &aftertouchv1.Identify{}} })
	add(event.UserAddress(Workspace, "5f1e"), func(e *aftertouchv1.Event) {
		e.Kind = &aftertouchv1.Event_ConsentChange{ConsentChange: &aftertouchv1.ConsentChange{}}
		e.Consent.State = aftertouchv1.Consent_denied
	})
	all[0].Duplicates = 2
	return all
}

func conversion() *aftertouchv1.Conversion {
	return &aftertouchv1.Conversion{
		Action: "purchase", OrderId: "1001", OrderScope: "de", ValueMinor: 4999, Currency: "EUR",
		PromoCodes: []string{"ANN10", "UNKNOWN"}, Evidence: aftertouchv1.Conversion_declared,
		Items: []*aftertouchv1.Item{{ItemId: "shoe", Quantity: 2, ValueMinor: 3999}, {ItemId: "sock", Quantity: 1, ValueMinor: 1000}},
	}
}

func identities() []attribution.Identity {
	visitor, user := event.VisitorAddress(Workspace, "v1"), event.UserAddress(Workspace, "5f1e")
	return []attribution.Identity{
		{From: visitor, To: user, Cause: event.Position{Epoch: 1, Partition: 1, Offset: 6}},
		{From: event.ClickAddress(Workspace, "event-2"), To: visitor, Cause: event.Position{Epoch: 1, Partition: 1, Offset: 7}},
	}
}

func refusals() []attribution.RefusalRow {
	return []attribution.RefusalRow{{
		Workspace: Workspace, RunID: "run-1", Hour: At(0), Transport: "http", Reason: string(event.FutureEvent), KeyID: "key-1",
		Count: 3, Cause: event.Position{Epoch: 1, Partition: 1, Offset: 8},
	}}
}
