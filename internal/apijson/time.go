package apijson

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// ErrDuration reports a text that is no duration.
var ErrDuration = errors.New("not a duration such as 30d, 24h or 3600s")

// setTimestamp takes RFC 3339 or Unix milliseconds, as a number or as digits.
func setTimestamp(m protoreflect.Message, value any) error {
	t, err := parseTime(value)
	if err != nil {
		return err
	}
	setSeconds(m, t.Unix(), int32(t.Nanosecond()))
	return nil
}

func parseTime(value any) (time.Time, error) {
	bad := errors.New("neither a time in RFC 3339, such as 2026-05-01T12:00:00Z, nor Unix milliseconds")
	s, isString := value.(string)
	if !isString {
		number, ok := value.(json.Number)
		if !ok {
			return time.Time{}, bad
		}
		s = number.String()
	}
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil && isString {
		return t, nil
	}
	ms, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		// Browsers measure in fractions of milliseconds.
		f, err := strconv.ParseFloat(s, 64)
		if err != nil || math.Abs(f) > 1e15 {
			return time.Time{}, bad
		}
		ms = int64(math.Floor(f))
	}
	return time.UnixMilli(ms).UTC(), nil
}

func setDuration(m protoreflect.Message, value any) error {
	s, ok := value.(string)
	if !ok {
		return ErrDuration
	}
	d, err := ParseDuration(s)
	if err != nil {
		return err
	}
	setSeconds(m, int64(d/time.Second), int32(d%time.Second))
	return nil
}

func setSeconds(m protoreflect.Message, seconds int64, nanos int32) {
	fields := m.Descriptor().Fields()
	m.Set(fields.ByName("seconds"), protoreflect.ValueOfInt64(seconds))
	m.Set(fields.ByName("nanos"), protoreflect.ValueOfInt32(nanos))
}

// ParseDuration reads durations as [time.ParseDuration] does, and days ("30d", "1d12h"), which are 24 hours. It fails
// with ErrDuration.
func ParseDuration(s string) (time.Duration, error) {
	days, rest, hasDays := strings.Cut(s, "d")
	if !hasDays {
		days, rest = "", s
	}
	var d time.Duration
	if hasDays {
		n, err := strconv.ParseFloat(days, 64)
		if err != nil || math.IsNaN(n) || math.Abs(n) > 100_000 || strings.ContainsAny(days, "eExX_") {
			return 0, ErrDuration
		}
		d = time.Duration(n * float64(24*time.Hour))
		if rest == "" {
			return d, nil
		}
		if rest[0] == '-' || rest[0] == '+' {
			return 0, ErrDuration
		}
	}
	more, err := time.ParseDuration(rest)
	if err != nil {
		return 0, fmt.Errorf("%w", ErrDuration)
	}
	if strings.HasPrefix(days, "-") {
		more = -more
	}
	return d + more, nil
}
