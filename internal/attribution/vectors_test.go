package attribution

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"os"
	"slices"
	"testing"
	"time"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/event"
)

// vector is one case of testdata/path_vectors.json: touches of one person, conversions, and what each channel earns.
type vector struct {
	ID              string                    `json:"id"`
	WindowDays      int64                     `json:"window_days"`
	HalfLifeDays    int64                     `json:"half_life_days"`
	Touches         [][2]string               `json:"touches"`
	Conversions     [][2]any                  `json:"conversions"`
	Exclude         []string                  `json:"exclude"`
	Expect          map[string]map[string]any `json:"expect"`
	ZeroCredit      []string                  `json:"zero_credit"`
	Absent          []string                  `json:"absent"`
	Influenced      map[string]int            `json:"influenced"`
	InfluencedValue map[string]int64          `json:"influenced_value"`
	Total           int                       `json:"total_conversions"`
	ReportFrom      string                    `json:"report_from"`
	Without         map[string]map[string]any `json:"without_exclusion"`
}

// otherRules are the vectors that follow rules which are not ours, or that are not about journeys; each with its reason.
var otherRules = map[string]string{
	"session-start-is-the-touch-time":     "a touch is at its own time (A3)",
	"duplicate-timestamps-position-based": "the order of A5 leaves no ties",
	"ceilings":                            "bounds are those of A12",
	"zero-session-id-is-not-a-touch":      "touches have no session id",
	"lookback-range-validation":           "windows are checked by the registry (A4)",
}

func readVectors(t *testing.T) []vector {
	t.Helper()
	b, err := os.ReadFile("testdata/path_vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Vectors []vector `json:"vectors"`
	}
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	return file.Vectors
}

func TestPublishedVectors(t *testing.T) {
	ran := 0
	for _, v := range readVectors(t) {
		if _, ok := otherRules[v.ID]; ok {
			continue
		}
		t.Run(v.ID, func(t *testing.T) {
			switch v.ID {
			case "unattributed-reported-not-dropped":
				testUnattributedIsReported(t)
			case "session-grain":
				testHalfHourIsOneTouch(t)
			default:
				v.test(t)
			}
		})
		ran++
	}
	if ran != 12 {
		t.Errorf("%d vectors ran, want 12", ran)
	}
}

func (v *vector) terms() fixedTerms {
	window := v.WindowDays * day
	return fixedTerms{"standard@1": {
		ClickWindow: window, VisitWindow: window, EngagementWindow: window, ImpressionWindow: window, HalfLife: v.HalfLifeDays * day,
	}}
}

func parseTime(t *testing.T, s string) int64 {
	t.Helper()
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return at.UnixMilli()
}

// events returns the vector as visits, on one link each, and purchases. An excluded channel is one without an agreement.
func (v *vector) events(t *testing.T) (events []external) {
	for i, touch := range v.Touches {
		at := event.Time(parseTime(t, touch[1]))
		e := &aftertouchv1.Event{
			EventId: fmt.Sprint("t", i), VisitorId: "v1", Link: touch[0], EventTime: at,
			Kind: &aftertouchv1.Event_Visit{Visit: &aftertouchv1.Visit{}},
			Stamps: &aftertouchv1.Stamps{
				ReceivedTime: at,
				Terms:        &aftertouchv1.Terms{AgreementId: "standard", AgreementVersion: 1, CampaignId: "k", CreatorId: touch[0]},
			},
		}
		if slices.Contains(v.Exclude, touch[0]) {
			e.Stamps.Terms = nil
		}
		events = append(events, external{event.AddressOf("shop", e), e})
	}
	for i, c := range v.Conversions {
		at := event.Time(parseTime(t, c[0].(string)))
		e := &aftertouchv1.Event{
			EventId: fmt.Sprint("c", i), VisitorId: "v1", EventTime: at, Stamps: &aftertouchv1.Stamps{ReceivedTime: at},
			Kind: &aftertouchv1.Event_Conversion{Conversion: &aftertouchv1.Conversion{
				Action: "purchase", OrderId: fmt.Sprint(i), ValueMinor: int64(c[1].(float64)), Currency: "EUR",
			}},
		}
		events = append(events, external{event.AddressOf("shop", e), e})
	}
	return events
}

// test compares each channel's credit, summed over the conversions of the report.
func (v *vector) test(t *testing.T) {
	credit, influenced, value, total := v.run(t)
	v.compare(t, v.Expect, credit)
	if v.Exclude != nil {
		all := *v
		all.Exclude = nil
		credit, _, _, _ := all.run(t)
		all.compare(t, v.Without, credit)
	}
	for _, channel := range slices.Concat(v.ZeroCredit, v.Absent) {
		for m := range NumModels {
			if got := credit[m][channel]; got != 0 {
				t.Errorf("%s: %s has %d", ModelNames[m], channel, got)
			}
		}
	}
	if v.Influenced != nil && !maps.Equal(v.Influenced, influenced) {
		t.Errorf("influenced %v, want %v", influenced, v.Influenced)
	}
	if v.InfluencedValue != nil && !maps.Equal(v.InfluencedValue, value) {
		t.Errorf("influenced value %v, want %v", value, v.InfluencedValue)
	}
	if v.Total != 0 && v.Total != total {
		t.Errorf("%d conversions, want %d", total, v.Total)
	}
}

func (v *vector) compare(t *testing.T, want map[string]map[string]any, credit [NumModels]map[string]int64) {
	t.Helper()
	for model, channels := range want {
		m := slices.Index(ModelNames[:], model)
		if m < 0 {
			t.Fatalf("model %s", model)
		}
		for channel, want := range channels {
			share, ok := new(big.Rat).SetString(fmt.Sprint(want))
			if !ok {
				t.Fatalf("share %v", want)
			}
			share.Mul(share, big.NewRat(CreditUnit, 1))
			share.Sub(share, big.NewRat(credit[m][channel], 1))
			if share.Abs(share).Cmp(big.NewRat(int64(len(v.Conversions)), 1)) > 0 {
				t.Errorf("%s: %s has %d, want %v", model, channel, credit[m][channel], want)
			}
		}
	}
}

func (v *vector) run(t *testing.T) (credit [NumModels]map[string]int64, influenced map[string]int, value map[string]int64, total int) {
	for m := range credit {
		credit[m] = map[string]int64{}
	}
	influenced, value = map[string]int{}, map[string]int64{}
	s := newSimulation(t, 1, &simLog{make([][]logRecord, 1)}, v.terms())
	s.run(v.events(t))
	var from int64
	if v.ReportFrom != "" {
		from = parseTime(t, v.ReportFrom)
	}
	for _, j := range s.tables.journeys {
		if j.Conversion.Time < from {
			continue
		}
		total++
		seen := map[string]bool{}
		for _, touch := range j.Touches {
			if !touch.Eligible {
				continue
			}
			channel := touch.Touch.CreatorId
			for m := range credit {
				credit[m][channel] += int64(touch.Credit[m])
			}
			if !seen[channel] {
				seen[channel] = true
				influenced[channel]++
				value[channel] += j.Conversion.ValueMinor
			}
		}
	}
	return credit, influenced, value, total
}

// testUnattributedIsReported: person p1 has a touch and a conversion, p2 a conversion alone.
func testUnattributedIsReported(t *testing.T) {
	v := vector{
		WindowDays: 4, HalfLifeDays: 1, Touches: [][2]string{{"a", "2023-01-09T12:00:00Z"}},
		Conversions: [][2]any{{"2023-01-10T12:00:00Z", 100.0}, {"2023-01-10T12:00:00Z", 100.0}},
	}
	events := v.events(t)
	events[2].event.VisitorId = "p2"
	s := newSimulation(t, 1, &simLog{make([][]logRecord, 1)}, v.terms())
	s.run(events)
	count := map[JourneyStatus]int{}
	for _, j := range s.tables.journeys {
		count[j.Status]++
	}
	if count[Attributed] != 1 || count[Unattributed] != 1 || len(s.tables.journeys) != 2 {
		t.Errorf("journeys %v", count)
	}
}

// testHalfHourIsOneTouch: three page views in one half hour on one link, and one on another, share evenly.
func testHalfHourIsOneTouch(t *testing.T) {
	v := vector{WindowDays: 4, HalfLifeDays: 1, Touches: [][2]string{
		{"browsed", "2023-01-09T12:00:00Z"},
		{"browsed", "2023-01-09T12:05:00Z"},
		{"browsed", "2023-01-09T12:10:00Z"},
		{"bounced", "2023-01-09T12:15:00Z"},
	}, Conversions: [][2]any{{"2023-01-10T12:00:00Z", 100.0}}}
	credit, _, _, _ := v.run(t)
	if credit[Linear]["browsed"] != CreditUnit/2 || credit[Linear]["bounced"] != CreditUnit/2 {
		t.Errorf("linear %v", credit[Linear])
	}
}
