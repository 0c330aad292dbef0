package attribution

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/event"
	"github.com/google/go-cmp/cmp"
)

// The files testdata/rules/*.txt state rules as cases:
//
//	== name of the case
//	KIND WHO TIME field=value...     events, in the order of their arrival
//	--
//	lines of result                  journeys; facts with flags or duplicates; links
//
// KIND is impression, engagement, visit, click, identify, redirect (a redirect's own click) or an action; WHO a visitor
// or "-"; TIME an offset from scriptNow such as -2h or +1d12h. Fields: id, user, link, placement, terms (agreement@version),
// flags, view, received and sent (offsets from scriptNow; received defaults to the event's time), token
// (click/time/visitor), order, scope, value, currency, codes (code:terms or code), source, repeat (n/step), evidence.
// A journey is ORDER PERSON STATUS [REASON], then its touches: +id when eligible, -id:reason when not.

// scriptNow is the time that offsets count from: 2026-03-21T00:00:00Z.
const scriptNow = simStart + 20*day

type scriptCase struct {
	name   string
	events []external
	want   string
}

func TestRules(t *testing.T) {
	files, err := filepath.Glob("testdata/rules/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no rules: %v", err)
	}
	for _, file := range files {
		for _, c := range readScript(t, file) {
			t.Run(strings.TrimSuffix(filepath.Base(file), ".txt")+"/"+c.name, func(t *testing.T) { c.run(t) })
		}
	}
}

// run plays the case in the order written, then reversed on three partitions with crashes.
func (c *scriptCase) run(t *testing.T) {
	s := newSimulation(t, 1, &simLog{make([][]logRecord, 1)}, simTerms())
	s.run(c.events)
	if diff := cmp.Diff(c.want, scriptResult(s.tables)); diff != "" {
		t.Fatalf("-want +got:\n%s", diff)
	}
	backwards := slices.Clone(c.events)
	slices.Reverse(backwards)
	s = newSimulation(t, 1, &simLog{make([][]logRecord, 3)}, simTerms())
	s.maxBatch, s.crashes = 3, true
	s.run(backwards)
	if diff := cmp.Diff(c.want, scriptResult(s.tables)); diff != "" {
		t.Fatalf("in the reverse order, -want +got:\n%s", diff)
	}
}

func scriptResult(d *tables) string {
	var lines []string
	for _, j := range d.journeys {
		lines = append(lines, journeyLine(&j))
	}
	for _, f := range d.facts {
		line := "fact " + f.Event.EventId
		if f.Duplicates > 0 {
			line += fmt.Sprintf(" duplicates=%d", f.Duplicates)
		}
		if len(f.Flags) > 0 {
			line += " " + strings.Join(f.Flags, ",")
		}
		if f.Duplicates > 0 || len(f.Flags) > 0 {
			lines = append(lines, line)
		}
	}
	for i := range d.identities {
		lines = append(lines, "link "+strings.ReplaceAll(i, "shop/", ""))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n") + "\n"
}

func journeyLine(j *Journey) string {
	c := j.Conversion
	person := j.Person.Local()
	if person == "" {
		person = "nobody"
	}
	parts := []string{j.Order.ID, person, j.Status.String()}
	if j.Reason != "" {
		parts = append(parts, j.Reason)
	}
	if c.ValueMinor > 0 {
		parts = append(parts, fmt.Sprintf("value=%d%s", c.ValueMinor, c.Currency))
	}
	if c.ConflictingValue > 0 {
		parts = append(parts, fmt.Sprintf("conflicts=%d", c.ConflictingValue))
	}
	parts = append(parts, c.Flags...)
	for _, code := range c.UnknownCodes {
		parts = append(parts, "unknown:"+code)
	}
	if at := c.Time - scriptNow; at != 0 {
		parts = append(parts, "at="+(time.Duration(at)*time.Millisecond).String())
	}
	for _, touch := range j.Touches {
		if touch.Eligible {
			parts = append(parts, "+"+touch.Touch.EventId)
		} else {
			parts = append(parts, "-"+touch.Touch.EventId+":"+touch.Reason)
		}
	}
	for _, reason := range []string{ReasonOver500, ReasonKindNotCounted} {
		if n := j.Omitted[reason]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s=%d", reason, n))
		}
	}
	return strings.Join(parts, " ")
}

func readScript(t *testing.T, file string) (cases []*scriptCase) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var c *scriptCase
	var want []string
	results := false
	finish := func() {
		if c != nil {
			slices.Sort(want)
			c.want = strings.Join(want, "\n") + "\n"
		}
	}
	for scan := bufio.NewScanner(f); scan.Scan(); {
		line := strings.TrimSpace(scan.Text())
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "== "):
			finish()
			c, want, results = &scriptCase{name: strings.ReplaceAll(line[3:], " ", "-")}, nil, false
			cases = append(cases, c)
		case line == "--":
			results = true
		case results:
			want = append(want, line)
		default:
			c.events = append(c.events, scriptEvents(t, line, len(c.events))...)
		}
	}
	finish()
	return cases
}

func offset(t *testing.T, s string) int64 {
	t.Helper()
	total, sign := int64(0), int64(1)
	if s, ok := strings.CutPrefix(s, "-"); ok {
		return -offset(t, s)
	}
	s = strings.TrimPrefix(s, "+")
	if s == "0" {
		return 0
	}
	if days, rest, ok := strings.Cut(s, "d"); ok {
		n, err := strconv.Atoi(days)
		if err != nil {
			t.Fatal(err)
		}
		total, s = int64(n)*day, rest
	}
	if s != "" {
		d, err := time.ParseDuration(s)
		if err != nil {
			t.Fatal(err)
		}
		total += d.Milliseconds()
	}
	return sign * total
}

func scriptTerms(t *testing.T, s string) *aftertouchv1.Terms {
	t.Helper()
	id, version, _ := strings.Cut(s, "@")
	n, err := strconv.Atoi(version)
	if err != nil {
		t.Fatal(err)
	}
	return &aftertouchv1.Terms{AgreementId: id, AgreementVersion: uint32(n), CampaignId: "spring", CreatorId: "ann"}
}

// scriptEvents reads one line; with repeat it stands for several events.
func scriptEvents(t *testing.T, line string, n int) (events []external) {
	t.Helper()
	words := strings.Fields(line)
	fields := map[string]string{"id": fmt.Sprintf("e%d", n), "terms": "standard@1"}
	for _, w := range words[3:] {
		key, value, _ := strings.Cut(w, "=")
		fields[key] = value
	}
	at := scriptNow + offset(t, words[2])
	count, step, _ := strings.Cut(fields["repeat"], "/")
	if count == "" {
		return []external{scriptEvent(t, words[0], words[1], at, fields)}
	}
	times, err := strconv.Atoi(count)
	if err != nil {
		t.Fatal(err)
	}
	id, placement, order := fields["id"], fields["placement"], fields["order"]
	for i := range times {
		fields["id"] = fmt.Sprintf("%s%d", id, i)
		if placement != "" {
			fields["placement"] = fmt.Sprintf("%s%d", placement, i)
		}
		if order != "" {
			fields["order"] = fmt.Sprintf("%s%d", order, i)
		}
		events = append(events, scriptEvent(t, words[0], words[1], at+int64(i)*offset(t, step), fields))
	}
	return events
}

func scriptEvent(t *testing.T, kind, who string, at int64, fields map[string]string) external {
	t.Helper()
	e := &aftertouchv1.Event{
		EventId: fields["id"], UserKey: fields["user"], Link: fields["link"], Placement: fields["placement"], EventTime: event.Time(at),
		Stamps: &aftertouchv1.Stamps{ReceivedTime: event.Time(at), Source: aftertouchv1.Stamps_browser},
	}
	if who != "-" {
		e.VisitorId = who
	}
	if s := fields["received"]; s != "" {
		e.Stamps.ReceivedTime = event.Time(scriptNow + offset(t, s))
	}
	if s := fields["sent"]; s != "" {
		e.SentTime = event.Time(scriptNow + offset(t, s))
	}
	if s := fields["flags"]; s != "" {
		e.Stamps.Flags = strings.Split(s, ",")
	}
	if fields["source"] == "server" {
		e.Stamps.Source = aftertouchv1.Stamps_server
	}
	if s := fields["terms"]; s != "none" {
		e.Stamps.Terms = scriptTerms(t, s)
	}
	if s := fields["token"]; s != "" {
		parts := strings.Split(s, "/")
		e.Stamps.Click = &aftertouchv1.ClickRef{
			EventId: parts[0], Time: event.Time(scriptNow + offset(t, parts[1])), LinkId: "L", AgreementVersion: 1,
		}
		if len(parts) > 2 {
			e.Stamps.Click.VisitorId = parts[2]
		}
	}
	setScriptKind(t, e, kind, fields)
	return external{event.AddressOf("shop", e), e}
}

func setScriptKind(t *testing.T, e *aftertouchv1.Event, kind string, fields map[string]string) {
	t.Helper()
	switch kind {
	case "impression":
		view, ok := aftertouchv1.Impression_Viewability_value[fields["view"]]
		if fields["view"] != "" && !ok {
			t.Fatalf("view %q", fields["view"])
		}
		e.Kind = &aftertouchv1.Event_Impression{Impression: &aftertouchv1.Impression{
			Viewability: aftertouchv1.Impression_Viewability(view),
		}}
	case "engagement":
		e.Kind = &aftertouchv1.Event_Engagement{Engagement: &aftertouchv1.Engagement{Type: "like"}}
	case "visit":
		e.Kind = &aftertouchv1.Event_Visit{Visit: &aftertouchv1.Visit{}}
	case "click":
		e.Kind = &aftertouchv1.Event_Click{Click: &aftertouchv1.Click{}}
	case "redirect":
		e.Kind, e.Link = &aftertouchv1.Event_Click{Click: &aftertouchv1.Click{}}, "L"
		e.Stamps.Click = &aftertouchv1.ClickRef{EventId: e.EventId, Time: e.EventTime, LinkId: "L", VisitorId: e.VisitorId}
	case "identify":
		e.Kind = &aftertouchv1.Event_Identify{Identify: &aftertouchv1.Identify{}}
	default:
		c := &aftertouchv1.Conversion{Action: kind, OrderId: fields["order"], OrderScope: fields["scope"], Currency: fields["currency"]}
		if s := fields["value"]; s != "" {
			n, err := strconv.ParseInt(s, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			c.ValueMinor = n
			if c.Currency == "" {
				c.Currency = "EUR"
			}
		}
		for s := range strings.SplitSeq(fields["codes"], ",") {
			code, terms, known := strings.Cut(s, ":")
			if code == "" {
				continue
			}
			c.PromoCodes = append(c.PromoCodes, code)
			if known {
				e.Stamps.CodeTerms = append(e.Stamps.CodeTerms, &aftertouchv1.CodeTerms{Code: code, Terms: scriptTerms(t, terms)})
			}
		}
		e.Kind = &aftertouchv1.Event_Conversion{Conversion: c}
	}
}
