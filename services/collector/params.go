package collector

import (
	"net/url"
	"strconv"
	"strings"
	"time"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/event"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// params reads an event from query parameters: the names of Event's fields and of its kind's fields, such as visitor_id or
// order_id; type names the kind. Other parameters, such as cache busters, are ignored.
type params struct {
	values    url.Values
	camelCase bool   // some name has a capital
	detail    string // of the first bad parameter
}

func newParams(values url.Values) *params {
	p := &params{values: values}
	for name := range values {
		p.camelCase = p.camelCase || strings.ContainsFunc(name, func(r rune) bool { return r >= 'A' && r <= 'Z' })
	}
	return p
}

// get returns a parameter by its snake_case or camelCase name.
func (p *params) get(name string) string {
	if v := p.values[name]; len(v) > 0 {
		return v[0]
	}
	if !p.camelCase {
		return ""
	}
	if v := p.values[camel(name)]; len(v) > 0 {
		return v[0]
	}
	return ""
}

func camel(name string) string {
	var b strings.Builder
	upper := false
	for i := range len(name) {
		switch c := name[i]; {
		case c == '_':
			upper = true
		case upper:
			b.WriteByte(c - 'a' + 'A')
			upper = false
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

func (p *params) bad(name, want string) {
	if p.detail == "" {
		p.detail = "the parameter " + name + " is not " + want
	}
}

func (p *params) time(name string) *timestamppb.Timestamp {
	s := p.get(name)
	if s == "" {
		return nil
	}
	if ms, err := strconv.ParseInt(s, 10, 64); err == nil {
		return timestamppb.New(time.UnixMilli(ms))
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		p.bad(name, "a time in RFC 3339 or Unix milliseconds")
	}
	return timestamppb.New(t)
}

func (p *params) integer(name string, bits int) int64 {
	s := p.get(name)
	if s == "" {
		return 0
	}
	n, err := strconv.ParseInt(s, 10, bits)
	if err != nil {
		p.bad(name, "an integer in its range")
	}
	return n
}

func (p *params) boolean(name string) bool {
	switch p.get(name) {
	case "true", "1":
		return true
	case "", "false", "0":
		return false
	default:
		p.bad(name, "true or false")
		return false
	}
}

func (p *params) word(name string, words map[string]int32) int32 {
	s := p.get(name)
	if s == "" {
		return 0
	}
	n, ok := words[s]
	if !ok {
		p.bad(name, "a word of its list")
	}
	return n
}

// read fills the event; kind is the default of type.
func (p *params) read(e *aftertouchv1.Event, kind string) *event.Refusal {
	if given := p.get("type"); given != "" {
		kind = given
	}
	e.EventId, e.VisitorId, e.UserKey = p.get("event_id"), p.get("visitor_id"), p.get("user_key")
	e.EventTime, e.SentTime = p.time("event_time"), p.time("sent_time")
	e.Link, e.Placement, e.ShareParent = p.get("link"), p.get("placement"), p.get("share_parent")
	if e.ClickId = p.get("click_id"); e.ClickId == "" {
		e.ClickId = p.get("at_click")
	}
	e.PageUrl, e.Referrer = p.get("page_url"), p.get("referrer")
	if p.get("consent") != "" || p.get("tcf") != "" {
		e.Consent = &aftertouchv1.Consent{State: aftertouchv1.Consent_State(p.word("consent", aftertouchv1.Consent_State_value)), Tcf: p.get("tcf")}
	}
	for name, v := range p.values {
		if key, ok := strings.CutPrefix(name, "properties."); ok {
			if e.Properties == nil {
				e.Properties = map[string]string{}
			}
			e.Properties[key] = v[0]
		}
	}
	p.kind(e, kind)
	if p.detail != "" {
		return newRefusal(event.Malformed, p.detail)
	}
	return nil
}

func (p *params) kind(e *aftertouchv1.Event, kind string) {
	switch kind {
	case "impression":
		e.Kind = &aftertouchv1.Event_Impression{Impression: &aftertouchv1.Impression{
			Viewability: aftertouchv1.Impression_Viewability(p.word("viewability", aftertouchv1.Impression_Viewability_value)),
			VisibleMs:   uint32(max(0, p.integer("visible_ms", 32))),
		}}
	case "visit":
		e.Kind = &aftertouchv1.Event_Visit{Visit: &aftertouchv1.Visit{SessionStart: p.boolean("session_start")}}
	case "click":
		e.Kind = &aftertouchv1.Event_Click{Click: &aftertouchv1.Click{}}
	case "engagement":
		e.Kind = &aftertouchv1.Event_Engagement{Engagement: &aftertouchv1.Engagement{
			Type: p.get("engagement_type"), Reaction: p.get("reaction"), Topic: p.get("topic"),
		}}
	case "conversion":
		e.Kind = &aftertouchv1.Event_Conversion{Conversion: p.conversion()}
	case "identify":
		e.Kind = &aftertouchv1.Event_Identify{Identify: &aftertouchv1.Identify{}}
	case "adjustment":
		e.Kind = &aftertouchv1.Event_Adjustment{Adjustment: &aftertouchv1.Adjustment{}}
	case "consent_change":
		e.Kind = &aftertouchv1.Event_ConsentChange{ConsentChange: &aftertouchv1.ConsentChange{}}
	default:
		p.bad("type", "the word of a kind, such as impression or conversion")
	}
}

func (p *params) conversion() *aftertouchv1.Conversion {
	c := &aftertouchv1.Conversion{
		Action: p.get("action"), OrderId: p.get("order_id"), OrderScope: p.get("order_scope"),
		ValueMinor: p.integer("value_minor", 64), Currency: p.get("currency"),
		Evidence: aftertouchv1.Conversion_Evidence(p.word("evidence", aftertouchv1.Conversion_Evidence_value)),
	}
	for _, list := range append(p.values["promo_codes"], p.values["promoCodes"]...) {
		c.PromoCodes = append(c.PromoCodes, strings.Split(list, ",")...)
	}
	return c
}
