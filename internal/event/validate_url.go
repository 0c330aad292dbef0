package event

import (
	"strings"
	"unicode/utf8"
)

// CutURL returns what is stored of a page's address: without user, fragment and query, except utm_* parameters, and at
// most 2,048 bytes. Path segments and parameters that hold an e-mail address are blanked; scrubbed counts them.
func CutURL(raw string) (cut string, scrubbed int) {
	if len(raw) <= maxURL && !strings.ContainsAny(raw, "?#@%") {
		return raw, 0
	}
	raw, _, _ = strings.Cut(raw, "#")
	base, query, _ := strings.Cut(raw, "?")
	base = dropUser(base)
	if containsEmail(base) {
		segments := strings.Split(base, "/")
		for i, segment := range segments {
			if containsEmail(segment) {
				segments[i] = "-"
				scrubbed++
			}
		}
		base = strings.Join(segments, "/")
	}
	kept := make([]string, 0, 5)
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		if !strings.HasPrefix(pair, "utm_") {
			continue
		}
		if containsEmail(pair) {
			scrubbed++
			continue
		}
		kept = append(kept, pair)
	}
	if len(kept) > 0 {
		base += "?" + strings.Join(kept, "&")
	}
	return truncate(base, maxURL), scrubbed
}

// dropUser removes "user:password@" from the authority.
func dropUser(base string) string {
	scheme := strings.Index(base, "://")
	if scheme < 0 {
		return base
	}
	start := scheme + len("://")
	end := len(base)
	if slash := strings.IndexByte(base[start:], '/'); slash >= 0 {
		end = start + slash
	}
	if at := strings.LastIndexByte(base[start:end], '@'); at >= 0 {
		return base[:start] + base[start+at+1:]
	}
	return base
}

// truncate cuts s to at most n bytes without splitting a character.
func truncate(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
