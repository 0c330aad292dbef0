package registry

import (
	"crypto/rand"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"
	_ "time/tzdata" // time zones are checked, and images may have no zone files
	"unicode"
	"unicode/utf8"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/aftertouch-io/aftertouch/internal/event"
)

const (
	maxName = 200  // bytes
	maxURL  = 2048 // bytes
	maxCode = 64   // bytes
)

var (
	idPattern     = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	actionPattern = regexp.MustCompile(`^[a-z0-9_]{1,64}$`)
)

// check collects what is wrong with the fields of a request.
type check struct {
	violations []*errdetails.BadRequest_FieldViolation
}

func (c *check) fail(field, detail string) {
	c.violations = append(c.violations, &errdetails.BadRequest_FieldViolation{Field: field, Description: detail})
}

// err returns INVALID_ARGUMENT with every violation, or nil.
func (c *check) err() error {
	if len(c.violations) == 0 {
		return nil
	}
	var text []string
	for _, v := range c.violations {
		text = append(text, v.Field+" "+v.Description)
	}
	return failure(codes.InvalidArgument, reasonInvalid, strings.Join(text, "; "), map[string]string{"field": c.violations[0].Field},
		&errdetails.BadRequest{FieldViolations: c.violations})
}

func (c *check) id(field, id string) {
	if !idPattern.MatchString(id) {
		c.fail(field, "must be 1 to 64 of the characters A-Z a-z 0-9 _ -")
	}
}

func (c *check) action(field, action string) {
	if !actionPattern.MatchString(action) {
		c.fail(field, "must be 1 to 64 of the characters a-z 0-9 _")
	}
}

// text checks a name for people to read, which may be empty.
func (c *check) text(field, s string) {
	if len(s) > maxName || !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
		c.fail(field, fmt.Sprintf("must be at most %d bytes of UTF-8 without control characters", maxName))
	}
}

func (c *check) code(field, code string) {
	if code == "" || len(code) > maxCode || !utf8.ValidString(code) || strings.ContainsFunc(code, unicode.IsControl) {
		c.fail(field, fmt.Sprintf("must be 1 to %d bytes of UTF-8 without control characters", maxCode))
	}
}

// oneOf checks an enum's value: a number that the schema does not know is refused.
func (c *check) oneOf(field string, value int32, names map[int32]string) {
	if _, ok := names[value]; !ok {
		c.fail(field, fmt.Sprintf("has the unknown value %d", value))
	}
}

func (c *check) zone(field, name string) {
	if _, err := time.LoadLocation(name); err != nil || name == "" || name == "Local" {
		c.fail(field, "must be the IANA name of a time zone, such as Europe/Berlin")
	}
}

func (c *check) currency(field, code string) {
	if !event.IsCurrency(code) {
		c.fail(field, "must be a currency of ISO 4217, such as EUR")
	}
}

func (c *check) time(field string, t *timestamppb.Timestamp) {
	if t == nil {
		return
	}
	if y := t.AsTime().Year(); t.CheckValid() != nil || y < 2000 || y > 2200 {
		c.fail(field, "must be a time between the years 2000 and 2200")
	}
}

// duration checks a window or half-life, of at least 1 h.
func (c *check) duration(field string, d *durationpb.Duration, days int) {
	if d != nil && (d.CheckValid() != nil || d.AsDuration() < time.Hour || d.AsDuration() > time.Duration(days)*24*time.Hour) {
		c.fail(field, fmt.Sprintf("must be 1 h to %d d", days))
	}
}

func (c *check) notNegative(field string, n int64) {
	if n < 0 {
		c.fail(field, "must not be negative")
	}
}

// target checks where a redirect leads: http or https, with a host, without credentials.
func (c *check) target(field, target string) {
	u, err := url.Parse(target)
	bad := err != nil || len(target) > maxURL || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil
	if bad || strings.ContainsFunc(target, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '\\' }) {
		c.fail(field, fmt.Sprintf("must be an http or https address of at most %d bytes, without user and password", maxURL))
	}
}

// origin checks the pattern of a web key's origins.
func (c *check) origin(field, pattern string) {
	if pattern == "*" {
		return
	}
	scheme, host, ok := strings.Cut(pattern, "://")
	u, err := url.Parse(scheme + "://" + strings.TrimPrefix(host, "*."))
	if !ok || err != nil || scheme != "http" && scheme != "https" || u.Host == "" || scheme+"://"+u.Host != scheme+"://"+strings.TrimPrefix(host, "*.") ||
		strings.ContainsAny(u.Host, "* ") {
		c.fail(field, "must be *, an origin such as https://shop.example, or one such as https://*.shop.example")
	}
}

// makeID makes an id of 60 random bits.
func makeID() string { return strings.ToLower(rand.Text()[:12]) }

// wholeMs cuts a time to the precision that is compared everywhere.
func wholeMs(t *timestamppb.Timestamp) *timestamppb.Timestamp {
	if t == nil {
		return nil
	}
	return timestamppb.New(t.AsTime().Truncate(time.Millisecond))
}
