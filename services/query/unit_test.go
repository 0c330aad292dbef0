package query

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestDecimalIsExact(t *testing.T) {
	for parts, want := range map[int64]string{
		0: "0.000000000", 1: "0.000000001", 999_999_999: "0.999999999", 1_000_000_000: "1.000000000", -1_500_000_000: "-1.500000000",
		9_007_199_254_740_993: "9007199.254740993", math.MaxInt64: "9223372036.854775807",
	} {
		if got := decimal(parts); got != want {
			t.Errorf("decimal(%d) = %s, want %s", parts, got, want)
		}
	}
}

// TestRateHasAWilsonInterval compares with the intervals of Newcombe (1998), table I, method 3.
func TestRateHasAWilsonInterval(t *testing.T) {
	for _, c := range []struct {
		successes, n int64
		low, high    float64
	}{
		{81, 263, 0.2553, 0.3662}, {15, 148, 0.0624, 0.1605}, {0, 20, 0, 0.1611}, {1, 29, 0.0061, 0.1718}, {29, 29, 0.8830, 1}, {0, 0, 0, 1},
	} {
		r := rate(c.successes, c.n)
		if math.Abs(r.Low-c.low) > 5e-5 || math.Abs(r.High-c.high) > 5e-5 || r.N != c.n {
			t.Errorf("rate(%d, %d) = %v, want %v to %v", c.successes, c.n, r, c.low, c.high)
		}
	}
}

func TestDayStartIsTheFirstInstantOfADay(t *testing.T) {
	for _, c := range []struct{ zone, day, want string }{
		{"UTC", "2026-03-01", "2026-03-01T00:00:00Z"},
		{"Europe/Berlin", "2026-03-29", "2026-03-28T23:00:00Z"},
		{"Europe/Berlin", "2026-03-30", "2026-03-29T22:00:00Z"},
		{"Asia/Kathmandu", "2026-03-01", "2026-02-28T18:15:00Z"},
		{"America/Sao_Paulo", "2018-11-04", "2018-11-04T03:00:00Z"}, // there was no midnight
		{"America/Havana", "2026-11-01", "2026-11-01T04:00:00Z"},    // midnight comes twice
	} {
		zone, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		day, err := time.Parse(time.DateOnly, c.day)
		if err != nil {
			t.Fatal(err)
		}
		if got := dayStart(day, zone).UTC().Format(time.RFC3339); got != c.want {
			t.Errorf("%s of %s starts at %s, want %s", c.day, c.zone, got, c.want)
		}
	}
}

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{"30d": 30 * 24 * time.Hour, "12h": 12 * time.Hour, "1h30m": 90 * time.Minute} {
		if got, err := parseDuration(text); err != nil || got != want {
			t.Errorf("parseDuration(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"d", "1.5d", "-1d", "99999d", "soon", "30 d"} {
		if got, err := parseDuration(text); err == nil {
			t.Errorf("parseDuration(%q) = %v, want an error", text, got)
		}
	}
}

// TestGraphOfLinks follows the shape that the statement is built from: the links are those that lead on twice.
func TestGraphOfLinks(t *testing.T) {
	for _, c := range []struct {
		links string
		two   bool
		steps int
		stand string
	}{
		{"", false, 0, ""},
		{"", true, 1, ""},
		{"A-B", true, 2, ""},
		{"A-B B-C", true, 3, ""},
		{"A-B A-C C-B B-D", true, 4, ""},
		{"A-B B-A", true, 2, "A=A B=A"},
		{"X-A A-B B-C C-A C-Y", true, 4, "A=A B=A C=A"},
		{"B-A A-B C-D D-C B-C", true, 3, "A=A B=A C=C D=C"},
	} {
		deep := map[string][]string{}
		for link := range strings.FieldsSeq(c.links) {
			from, to, _ := strings.Cut(link, "-")
			deep[from] = append(deep[from], to)
		}
		g := newGraph(deep, c.two)
		var stands []string
		for member, stand := range g.stands {
			stands = append(stands, fmt.Sprintf("%s=%s", member, stand))
		}
		slices.Sort(stands)
		if got := strings.Join(stands, " "); g.steps != c.steps || got != c.stand {
			t.Errorf("links %q: %d steps, circles %q, want %d, %q", c.links, g.steps, got, c.steps, c.stand)
		}
	}
}
