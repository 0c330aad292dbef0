package registry

import (
	"net/url"
	"slices"
	"strings"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/event"
	"github.com/aftertouch-io/aftertouch/internal/privacy"
)

// Scope is a set of what a key may do.
type Scope uint8

// Scopes. Admin includes all.
const (
	ScopeCollect Scope = 1 << iota
	ScopeReplay
	ScopeRead
	ScopeWrite
	ScopeAdmin
	allScopes = ScopeCollect | ScopeReplay | ScopeRead | ScopeWrite | ScopeAdmin
)

var scopeNames = map[string]Scope{
	"collect": ScopeCollect, "replay": ScopeReplay, "read": ScopeRead, "write": ScopeWrite, "admin": ScopeAdmin,
}

// ScopeNames are the words of the scopes.
func ScopeNames() []string { return []string{"collect", "replay", "read", "write", "admin"} }

// scopesOf returns what a key may do: a web key may only collect.
func scopesOf(k *aftertouchv1.Key) (s Scope) {
	if k.GetKind() == aftertouchv1.Key_web {
		return ScopeCollect
	}
	s, _ = ParseScopes(k.GetScopes())
	return s
}

// ParseScopes returns the scopes of the words, and the first word that is none.
func ParseScopes(words []string) (s Scope, unknown string) {
	for _, word := range words {
		if scopeNames[word] == 0 && unknown == "" {
			unknown = word
		}
		s |= scopeNames[word]
	}
	if s&ScopeAdmin != 0 {
		s = allScopes
	}
	return s, unknown
}

// Authenticate returns the key of a key string, and no reason; or nil and UnknownKey, or the key and RevokedKey: whose it was is
// worth counting.
func (v *View) Authenticate(key string) (*Key, event.Reason) { return v.Snapshot().Authenticate(key) }

// Authenticate is View.Authenticate on a snapshot.
func (s *Snapshot) Authenticate(key string) (*Key, event.Reason) {
	if key == "" {
		return nil, event.UnknownKey
	}
	k, ok := s.KeyByHash(privacy.HashAPIKey(key))
	if !ok {
		return nil, event.UnknownKey
	}
	if k.Revoked {
		return k, event.RevokedKey
	}
	return k, ""
}

// CheckScope returns WrongScope when the key lacks one of the scopes, else no reason.
func (k *Key) CheckScope(need Scope) event.Reason {
	if k.scopes&need != need {
		return event.WrongScope
	}
	return ""
}

// HasScope reports whether the key has all of the scopes.
func (k *Key) HasScope(need Scope) bool { return k.scopes&need == need }

// IsWeb reports whether the key is public and bound to origins.
func (k *Key) IsWeb() bool { return k.GetKind() == aftertouchv1.Key_web }

// CheckOrigin returns OriginRefused when a web key is not for the origin, such as https://shop.example. An unknown origin,
// "", is for keys of all origins only. Secret keys have no origins.
func (k *Key) CheckOrigin(origin string) event.Reason {
	if !k.IsWeb() || slices.ContainsFunc(k.Origins, func(pattern string) bool { return originMatches(pattern, origin) }) {
		return ""
	}
	return event.OriginRefused
}

// RequestOrigin returns the origin of a browser's request: its Origin header, else the origin of its Referer, else "".
func RequestOrigin(originHeader, referer string) string {
	if originHeader != "" && originHeader != "null" {
		return originHeader
	}
	u, err := url.Parse(referer)
	if err != nil || u.Scheme == "" || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// BearerToken returns the key of an Authorization header, "" when it has none.
func BearerToken(header string) string {
	scheme, token, ok := strings.Cut(header, " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// originMatches compares an origin with a pattern: *, an origin, or an origin whose host begins with "*.", which stands for
// at least one label.
func originMatches(pattern, origin string) bool {
	if pattern == "*" {
		return true
	}
	scheme, host, ok := strings.Cut(pattern, "://")
	if !ok {
		return false
	}
	gotScheme, gotHost, ok := strings.Cut(origin, "://")
	if !ok || !strings.EqualFold(scheme, gotScheme) {
		return false
	}
	if suffix, ok := strings.CutPrefix(host, "*"); ok {
		return len(gotHost) > len(suffix) && gotHost[0] != '.' && strings.EqualFold(gotHost[len(gotHost)-len(suffix):], suffix)
	}
	return strings.EqualFold(host, gotHost)
}
