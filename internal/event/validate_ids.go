package event

import (
	"strings"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
)

const maxIDLength = 128

// checkIDs applies the rules of ids (DESIGN 11, P1, D5) to every id of the event. Absent ids are no ids.
func checkIDs(e *aftertouchv1.Event) *Refusal {
	if refusal := CheckID("event_id", e.EventId); refusal != nil {
		return refusal
	}
	if refusal := CheckID("visitor_id", e.VisitorId); refusal != nil {
		return refusal
	}
	if e.UserKey != "" {
		if refusal := CheckID("user_key", e.UserKey); refusal != nil {
			return refusal
		}
		if isPhone(e.UserKey) {
			return refuse(PhoneInUserKey, "user_key looks like a phone number; send your own customer key")
		}
	}
	if e.ShareParent != "" {
		if refusal := CheckID("share_parent", e.ShareParent); refusal != nil {
			return refusal
		}
	}
	if c := e.GetConversion(); c != nil && (c.OrderId != "" || c.OrderScope != "") {
		if refusal := CheckID("order_id", c.OrderId); refusal != nil {
			return refusal
		}
		return CheckID("order_scope", c.OrderScope)
	}
	return nil
}

// CheckID applies the rules of ids to one value; the empty value passes, because it means that there is none.
func CheckID(field, id string) *Refusal {
	if id == "" {
		return nil
	}
	if len(id) > maxIDLength {
		return refuse(Malformed, "%s is over %d characters", field, maxIDLength)
	}
	at := false
	for i := range len(id) {
		switch c := id[i]; {
		case c < ' ' || c > '}': // "~" and what follows it are refused with the rest
			return refuse(Malformed, "%s must be printable ASCII without ~", field)
		case c == '@' || c == '%':
			at = true
		}
	}
	// The longest placeholder has 36 characters: zeros in the form of a UUID.
	if len(id) <= 36 && isPlaceholder(id) {
		return refuse(PlaceholderID, "%s is a placeholder; leave it out when there is no value", field)
	}
	if at && containsEmail(id) {
		return refuse(EmailInID, "%s looks like an e-mail address; send an opaque id", field)
	}
	return nil
}

// isPlaceholder recognises what templates and programs write when they have no value. Millions of people would become one.
func isPlaceholder(id string) bool {
	switch id[0] {
	case ' ', '0', '(', '{', '[', 'n', 'N', 'u', 'U', 'g', 'G', 'a', 'A':
	default: // no placeholder begins otherwise; most ids leave here
		return false
	}
	word := strings.Trim(id, " ()[]{}\"'")
	if word == "" {
		return true
	}
	for _, placeholder := range [...]string{"null", "undefined", "guest", "nil", "none", "nan", "anonymous", "object object"} {
		if strings.EqualFold(word, placeholder) {
			return true
		}
	}
	return strings.Trim(word, "0") == "" || len(word) == 36 && strings.Trim(word, "0-") == ""
}

// containsEmail reports whether s holds something of the form a@b.c, also percent-encoded.
func containsEmail(s string) bool {
	at := strings.IndexByte(s, '@')
	for at >= 0 {
		if looksLikeEmailAt(s, at, 1) {
			return true
		}
		next := strings.IndexByte(s[at+1:], '@')
		if next < 0 {
			break
		}
		at += 1 + next
	}
	if i := strings.Index(s, "%40"); i >= 0 {
		return looksLikeEmailAt(s, i, len("%40"))
	}
	return false
}

// looksLikeEmailAt reports whether the separator of the given width at i has a local part before it and a dotted host,
// whose last part has at least two letters, after it.
func looksLikeEmailAt(s string, i, width int) bool {
	if i == 0 || !isEmailByte(s[i-1]) {
		return false
	}
	host := s[i+width:]
	end := 0
	for end < len(host) && (isAlphanumeric(host[end]) || host[end] == '.' || host[end] == '-') {
		end++
	}
	host = strings.TrimRight(host[:end], ".-")
	dot := strings.LastIndexByte(host, '.')
	return dot > 0 && len(host)-dot-1 >= 2 && isLetter(host[dot+1])
}

func isEmailByte(c byte) bool {
	return isAlphanumeric(c) || strings.IndexByte("!#$%&'*+-/=?^_`{|}.\"", c) >= 0
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

func isAlphanumeric(c byte) bool { return isLetter(c) || c >= '0' && c <= '9' }

// isPhone reports whether s is an international number: + or 00, then 8 to 15 digits, with the usual separators.
func isPhone(s string) bool {
	digits, plus := 0, false
	leadingZeros := 0
	for i := range len(s) {
		switch c := s[i]; {
		case c == '+' && digits == 0 && !plus:
			plus = true
		case c >= '0' && c <= '9':
			if c == '0' && digits == leadingZeros {
				leadingZeros++
			}
			digits++
		case strings.IndexByte(" -.()/", c) >= 0:
		default:
			return false
		}
	}
	if plus {
		return digits >= 8 && digits <= 15
	}
	return leadingZeros >= 2 && digits-2 >= 8 && digits-2 <= 15
}

// IsRegistryID reports whether s has the form of the registry's ids: 1 to 64 of A-Z, a-z, 0-9, _ and -.
func IsRegistryID(s string) bool {
	if len(s) == 0 || len(s) > maxRegistryIDLength {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !isAlphanumeric(c) && c != '_' && c != '-' {
			return false
		}
	}
	return true
}
