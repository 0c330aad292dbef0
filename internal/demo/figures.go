package demo

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// figures are the reports that the demo prints.
type figures struct {
	performance aftertouchv1.PerformanceResponse
	exposure    aftertouchv1.ExposureResponse
}

func (c *client) figures(ctx context.Context) (*figures, error) {
	var f figures
	if err := c.report(ctx, "performance", url.Values{"action": {"purchase"}}, &f.performance); err != nil {
		return nil, err
	}
	if err := c.report(ctx, "exposure", url.Values{"action": {"purchase"}}, &f.exposure); err != nil {
		return nil, err
	}
	return &f, nil
}

func (c *client) report(ctx context.Context, name string, parameters url.Values, into proto.Message) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.target.HTTP+"/v1/reports/"+name+"?"+parameters.Encode(), nil)
	if err != nil {
		return fmt.Errorf("making the request: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+c.target.AdminKey)
	return c.do(req, func(resp *http.Response) error {
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return fmt.Errorf("reading report %s: %w", name, err)
		}
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("report %s: %s: %s", name, resp.Status, body)
		}
		return protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(body, into)
	})
}

// missing names the first figure that is not yet the truth; empty when all are.
func (f *figures) missing(plan Plan, truth Summary) string {
	total := f.performance.Totals["EUR"].GetTotal()
	if want := fmt.Sprintf("%d.000000000", truth.Orders); total.GetConversions() != want {
		return fmt.Sprintf("conversions are %q, not %s", total.GetConversions(), want)
	}
	if total.GetValueMinor() != truth.ValueMinor {
		return fmt.Sprintf("their value is %d, not %d", total.GetValueMinor(), truth.ValueMinor)
	}
	for i, creator := range plan.Creators {
		row := f.exposureOf(creator.ID)
		got, want := [3]int64{row.GetExposed(), row.GetClicked(), row.GetActed()},
			[3]int64{int64(truth.ByCreator[i].Exposed), int64(truth.ByCreator[i].Clicked), int64(truth.ByCreator[i].Acted)}
		if got != want {
			return fmt.Sprintf("%s has exposed, clicked, acted %v, not %v", creator.ID, got, want)
		}
	}
	return ""
}

func (f *figures) exposureOf(creator string) *aftertouchv1.ExposureRow {
	for _, row := range f.exposure.Rows {
		if row.Creator == creator {
			return row
		}
	}
	return nil
}

func (f *figures) performanceOf(creator string) *aftertouchv1.PerformanceRow {
	for _, row := range f.performance.Rows {
		if row.Creator == creator {
			return row
		}
	}
	return nil
}

// credit returns what a model credits, in conversions.
func credit(row *aftertouchv1.PerformanceRow, model string) string {
	for _, c := range row.GetCredits() {
		if c.Model == model && c.Currency == "EUR" {
			whole, fraction, _ := strings.Cut(c.Conversions, ".")
			return whole + "." + (fraction + "00")[:2]
		}
	}
	return "0.00"
}
