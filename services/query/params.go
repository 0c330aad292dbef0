package query

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // reports must know every time zone wherever they run

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/apijson"
	"github.com/aftertouch-io/aftertouch/internal/attribution"
	"google.golang.org/grpc/codes"
)

// Bounds and defaults of parameters.
const (
	defaultPeriod = 30 * 24 * time.Hour
	defaultWithin = 30 * 24 * time.Hour
	maxWithin     = 10 * 365 * 24 * time.Hour
	defaultLimit  = 1_000
	maxLimit      = 100_000
	// quarter is the grain of the derived tables: defaults are aligned to it, so that they are read alone.
	quarter = 15 * time.Minute
	// maxTime is the end of what the engine's DateTime can hold.
	maxTime = 1<<32 - 1
	// totalsModel is the model of totals when none is named.
	totalsModel = attribution.LastTouch
	basisTouch  = "touch"
)

// Dimensions that reports group by.
const (
	byCampaign  = "campaign"
	byCreator   = "creator"
	byPlacement = "placement"
	byLink      = "link"
	byDay       = "day"
)

// performanceDimensions and exposureDimensions are in the order of the reports' columns.
var (
	performanceDimensions = []string{byCampaign, byCreator, byPlacement, byLink, byDay}
	exposureDimensions    = []string{byCampaign, byCreator}
)

// request is a report's checked parameters.
type request struct {
	workspace string
	from, to  time.Time
	zone      *time.Location
	action    string
	campaign  string
	creator   string
	// model is the one asked for; allModels asks for all of them.
	model     attribution.Model
	allModels bool
	touches   bool // on touch basis
	within    time.Duration
	by        []string
	limit     int
	now       time.Time
}

// totalsModel is the model that totals are of.
func (r *request) totalsModel() attribution.Model {
	if r.allModels {
		return totalsModel
	}
	return r.model
}

// filtered reports whether rows show a part of the credit only.
func (r *request) filtered() bool { return r.campaign != "" || r.creator != "" }

func badParameter(name, format string, args ...any) error {
	return apijson.StatusError(codes.InvalidArgument, "invalid_argument", name+": "+fmt.Sprintf(format, args...))
}

func notFound(what, id string) error {
	return apijson.StatusError(codes.NotFound, "not_found", fmt.Sprintf("there is no %s %q in this workspace", what, id))
}

// parse checks the parameters and fills in defaults; dimensions are what the report can group by, byDefault what it does
// group by when nothing is said.
func (s *Service) parse(workspace string, p *aftertouchv1.Parameters, dimensions, byDefault []string) (*request, error) {
	r := &request{workspace: workspace, action: p.GetAction(), campaign: p.GetCampaign(), creator: p.GetCreator(), now: s.now()}
	if err := s.parseScope(r); err != nil {
		return nil, err
	}
	var err error
	if r.zone, err = s.zone(workspace, p.GetTz(), r.campaign); err != nil {
		return nil, err
	}
	if err := r.parsePeriod(p); err != nil {
		return nil, err
	}
	if err := r.parseModel(p); err != nil {
		return nil, err
	}
	r.within = defaultWithin
	if p.GetWithin() != "" {
		if r.within, err = parseDuration(p.GetWithin()); err != nil || r.within <= 0 || r.within > maxWithin {
			return nil, badParameter("within", "%q is no window; use a duration above 0 such as 30d, 12h or 90m", p.GetWithin())
		}
	}
	if r.by, err = parseBy(p.GetBy(), dimensions, byDefault); err != nil {
		return nil, err
	}
	if p.GetFormat() != "" && p.GetFormat() != "json" && p.GetFormat() != "csv" {
		return nil, badParameter("format", "%q is not known; use json or csv", p.GetFormat())
	}
	switch r.limit = int(p.GetLimit()); {
	case r.limit == 0:
		r.limit = defaultLimit
	case r.limit < 0 || r.limit > maxLimit:
		return nil, badParameter("limit", "%d is out of range; use 1 to %d", r.limit, maxLimit)
	}
	return r, nil
}

// parseScope checks what names objects of the workspace.
func (s *Service) parseScope(r *request) error {
	if r.action != "" && !actionPattern.MatchString(r.action) {
		return badParameter("action", "%q is no action; use its name, such as purchase", r.action)
	}
	if r.campaign != "" {
		if _, ok := s.registry.Campaign(r.workspace, r.campaign); !ok {
			return notFound(byCampaign, r.campaign)
		}
	}
	if r.creator != "" {
		if _, ok := s.registry.Creator(r.workspace, r.creator); !ok {
			return notFound(byCreator, r.creator)
		}
	}
	return nil
}

var (
	actionPattern = regexp.MustCompile(`^[a-z0-9_]{1,64}$`)
	zonePattern   = regexp.MustCompile(`^[A-Za-z0-9_+/-]{1,64}$`)
)

// zone returns the time zone asked for, else the campaign's, else the workspace's, else UTC.
func (s *Service) zone(workspace, name, campaign string) (*time.Location, error) {
	if name == "" && campaign != "" {
		c, _ := s.registry.Campaign(workspace, campaign)
		name = c.GetTimeZone()
	}
	if name == "" {
		if w, ok := s.registry.Workspace(workspace); ok {
			name = w.GetTimeZone()
		}
	}
	if name == "" {
		return time.UTC, nil
	}
	// "Local" would be the server's own zone.
	if !zonePattern.MatchString(name) || name == "Local" {
		return nil, badParameter("tz", "%q is no time zone; use an IANA name such as Europe/Berlin", name)
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, badParameter("tz", "%q is no time zone; use an IANA name such as Europe/Berlin", name)
	}
	return zone, nil
}

func (r *request) parsePeriod(p *aftertouchv1.Parameters) error {
	var err error
	r.to = r.now.Truncate(quarter).Add(quarter)
	if p.GetTo() != "" {
		if r.to, err = parseTime("to", p.GetTo(), r.zone); err != nil {
			return err
		}
	}
	r.from = r.to.Add(-defaultPeriod).Truncate(quarter)
	if p.GetFrom() != "" {
		if r.from, err = parseTime("from", p.GetFrom(), r.zone); err != nil {
			return err
		}
	}
	if !r.from.Before(r.to) {
		return badParameter("from", "%s is not before to, %s; to is exclusive", r.from.Format(time.RFC3339), r.to.Format(time.RFC3339))
	}
	return nil
}

// parseTime reads RFC 3339, or a day, which begins at its first instant in the zone.
func parseTime(name, text string, zone *time.Location) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		day, dayErr := time.Parse(time.DateOnly, text)
		if dayErr != nil {
			return time.Time{}, badParameter(name, "%q is no time; use YYYY-MM-DD or RFC 3339 such as 2026-05-01T00:00:00Z", text)
		}
		t = dayStart(day, zone)
	}
	if t.Unix() < 0 || t.Unix() > maxTime {
		return time.Time{}, badParameter(name, "%q is out of range; use a time from 1970 to 2105", text)
	}
	// Times are whole milliseconds.
	return t.Truncate(time.Millisecond), nil
}

// dayStart returns the first instant of the calendar day in the zone, also where clocks change at midnight.
func dayStart(day time.Time, zone *time.Location) time.Time {
	y, m, d := day.Date()
	t := time.Date(y, m, d, 0, 0, 0, 0, zone)
	if t.Day() != d { // a gap at midnight that Date resolved to the day before
		_, end := t.ZoneBounds()
		t = end
	}
	if earlier := t.Add(-time.Hour); earlier.Day() == d { // midnight comes twice
		t = earlier
	}
	return t
}

func (r *request) parseModel(p *aftertouchv1.Parameters) error {
	switch p.GetBasis() {
	case "", "conversion":
	case basisTouch:
		r.touches = true
	default:
		return badParameter("basis", "%q is not known; use conversion or touch", p.GetBasis())
	}
	if p.GetModel() == "" {
		r.allModels = true
		return nil
	}
	i := slices.Index(attribution.ModelNames[:], p.GetModel())
	if i < 0 {
		return badParameter("model", "%q is not known; use one of %s", p.GetModel(), strings.Join(attribution.ModelNames[:], ", "))
	}
	r.model = attribution.Model(i)
	return nil
}

// parseBy returns the dimensions asked for in the order of the report's columns.
func parseBy(asked, dimensions, byDefault []string) ([]string, error) {
	var names []string
	for _, list := range asked {
		for name := range strings.SplitSeq(list, ",") {
			names = append(names, strings.TrimSpace(name))
		}
	}
	if len(names) == 0 {
		return byDefault, nil
	}
	for _, name := range names {
		if !slices.Contains(dimensions, name) {
			return nil, badParameter("by", "%q is not known here; use some of %s", name, strings.Join(dimensions, ", "))
		}
	}
	var by []string
	for _, d := range dimensions {
		if slices.Contains(names, d) {
			by = append(by, d)
		}
	}
	return by, nil
}

// parseDuration reads Go's notation, and days such as 30d.
func parseDuration(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return 0, fmt.Errorf("reading days of %q: %w", text, err)
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	return time.ParseDuration(text)
}

// parameters returns the parameters that were used, defaults filled in.
func (r *request) parameters(p *aftertouchv1.Parameters) *aftertouchv1.Parameters {
	used := &aftertouchv1.Parameters{
		From: r.from.In(r.zone).Format(time.RFC3339Nano), To: r.to.In(r.zone).Format(time.RFC3339Nano), Tz: r.zone.String(),
		Action: r.action, Campaign: r.campaign, Creator: r.creator, Model: p.GetModel(), Basis: "conversion",
		Within: formatDuration(r.within), Format: p.GetFormat(), By: r.by, Limit: int32(r.limit),
	}
	if r.touches {
		used.Basis = basisTouch
	}
	if used.Format == "" {
		used.Format = "json"
	}
	return used
}

func formatDuration(d time.Duration) string {
	if day := 24 * time.Hour; d%day == 0 {
		return strconv.Itoa(int(d/day)) + "d"
	}
	return d.String()
}
