package query

import (
	"embed"
	"fmt"
	"strings"
	"text/template"
	"time"

	"github.com/aftertouch-io/aftertouch/internal/store"
)

//go:embed sql/*.sql
var sqlFiles embed.FS

// templates are the statements of sql/, by file name. Values of callers never get into a text: they are parameters that the
// engine binds. What is filled in is made by this package: times, dimensions, models and FROM clauses.
var templates = template.Must(template.New("").Option("missingkey=error").ParseFS(sqlFiles, "sql/*.sql"))

// statement returns a statement without its comments.
func statement(name string, args map[string]any) string {
	var b strings.Builder
	if err := templates.ExecuteTemplate(&b, name, args); err != nil {
		panic(fmt.Sprintf("BUG: statement %s: %v", name, err))
	}
	lines := strings.Split(b.String(), "\n")
	kept := lines[:0]
	for _, line := range lines {
		if trimmed := strings.TrimSpace(line); trimmed != "" && !strings.HasPrefix(trimmed, "--") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "\n")
}

// Columns of the dimensions in every table; day is made from a time.
var dimensionColumns = map[string]string{
	byCampaign: "campaign_id", byCreator: "creator_id", byPlacement: "placement_id", byLink: "link_id",
}

// dimensions returns the expressions of the five dimensions of performance, in its order: ” where the report does not
// group by it. slot is the column of times that the day is made from.
func (r *request) dimensions(slot string) string {
	of := r.dimensionOf(slot)
	parts := make([]string, len(performanceDimensions))
	for i, d := range performanceDimensions {
		parts[i] = of["d"+d] + " AS d" + d
	}
	return strings.Join(parts, ", ")
}

// dimensionOf returns the expressions of dimensions by alias.
func (r *request) dimensionOf(slot string) map[string]string {
	of := map[string]string{}
	for _, d := range performanceDimensions {
		switch {
		case !r.groups(d):
			of["d"+d] = "''"
		case d == byDay:
			of["d"+d] = fmt.Sprintf("toString(toDate(%s, '%s'))", slot, r.zone)
		default:
			of["d"+d] = "toString(" + dimensionColumns[d] + ")"
		}
	}
	return of
}

// dimensionNames are the aliases of dimensions.
const dimensionNames = "dcampaign, dcreator, dplacement, dlink, dday"

// grain says whether days must be told apart that are no UTC days.
func (r *request) grain() store.Grain {
	if r.groups(byDay) && r.zone != time.UTC {
		return store.ByQuarter
	}
	return store.ByDay
}

func (r *request) groups(dimension string) bool {
	for _, d := range r.by {
		if d == dimension {
			return true
		}
	}
	return false
}

// scope returns the condition for the campaign and creator asked for; it names the parameters campaign and creator.
func (r *request) scope() string {
	parts := []string{"true"}
	if r.campaign != "" {
		parts = append(parts, "campaign_id = {campaign:String}")
	}
	if r.creator != "" {
		parts = append(parts, "creator_id = {creator:String}")
	}
	return strings.Join(parts, " AND ")
}

// actionScope returns the condition for the action asked for; it names the parameter action.
func (r *request) actionScope() string {
	if r.action == "" {
		return "true"
	}
	return "action = {action:String}"
}
