package collector

import (
	"net/http"
	"strings"
	"sync"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/clicktoken"
	"github.com/aftertouch-io/aftertouch/internal/event"
	"github.com/aftertouch-io/aftertouch/internal/registry"
	"golang.org/x/time/rate"
)

// caller is who sends, as one snapshot of the registry says, and what the request tells about the sender. The stamps of a
// batch come from one caller, so they agree.
type caller struct {
	snapshot  *registry.Snapshot
	workspace *registry.Workspace
	key       *registry.Key // nil for a redirect, which needs none
	sealer    *clicktoken.Sealer
	source    aftertouchv1.Stamps_Source
	consent   event.ConsentPolicy
	// robot, device and country describe a browser; servers speak for others and have none.
	robot           bool
	device, country string
}

// id returns the workspace's id.
func (c *caller) id() string { return c.workspace.GetWorkspaceId() }

// keyID returns the id of the key, "" for a redirect.
func (c *caller) keyID() string {
	if c.key == nil {
		return ""
	}
	return c.key.GetKeyId()
}

// authenticate returns the caller of a key that may collect, or why there is none. A key that is known and refused still
// returns its workspace and id, for the counts.
func (c *Collector) authenticate(key, origin string) (*caller, *registry.Key, event.Reason) {
	snapshot := c.registry.Snapshot()
	k, reason := snapshot.Authenticate(key)
	if reason != "" {
		return nil, k, reason
	}
	if reason = k.CheckScope(registry.ScopeCollect); reason == "" {
		reason = k.CheckOrigin(origin)
	}
	if reason != "" {
		return nil, k, reason
	}
	out, err := c.callerOf(snapshot, k.Workspace)
	if err != nil {
		// The registry never holds a key before its workspace, and refuses workspace keys that it cannot open.
		c.log.Error("key without a usable workspace", "key_id", k.GetKeyId(), "error", err)
		return nil, k, event.UnknownKey
	}
	out.key, out.source = k, aftertouchv1.Stamps_server
	if k.IsWeb() {
		out.source = aftertouchv1.Stamps_browser
	}
	return out, k, ""
}

func (c *Collector) callerOf(snapshot *registry.Snapshot, workspace string) (*caller, error) {
	w, ok := snapshot.Workspace(workspace)
	if !ok {
		return nil, errUnknownWorkspace
	}
	sealer, err := c.sealer(w)
	if err != nil {
		return nil, err
	}
	return &caller{snapshot: snapshot, workspace: w, sealer: sealer, consent: event.ConsentPolicy{Required: w.ConsentRequired}}, nil
}

// observe reads what a browser's request tells beside its events. The user agent decides two stamps and is not kept (P1).
func (c *Collector) observe(out *caller, h http.Header) {
	// Header.Get would spell the names anew each time.
	out.consent.Denied = first(h["Sec-Gpc"]) == "1" || out.workspace.HonourDoNotTrack && first(h["Dnt"]) == "1"
	if out.source != aftertouchv1.Stamps_browser {
		return
	}
	userAgent := first(h["User-Agent"])
	out.robot = c.robots.Match(userAgent) || isPrefetch(h)
	out.device = deviceClass(userAgent)
	if out.robot {
		out.device = "bot"
	}
	if c.cfg.CountryHeader != "" {
		out.country = countryOf(h.Get(c.cfg.CountryHeader))
	}
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// isPrefetch reports whether a browser fetches what nobody has asked to see yet.
func isPrefetch(h http.Header) bool {
	return strings.HasPrefix(first(h["Sec-Purpose"]), "prefetch") || first(h["Purpose"]) == "prefetch" || first(h["X-Moz"]) == "prefetch"
}

// deviceClass reads the class of device off a user agent; empty when it says nothing.
func deviceClass(userAgent string) string {
	has := func(part string) bool { return strings.Contains(userAgent, part) }
	switch {
	case userAgent == "":
		return ""
	case has("iPad") || has("Tablet") || has("Android") && !has("Mobile"):
		return "tablet"
	case has("Mobile") || has("iPhone") || has("Android"):
		return "mobile"
	case has("Windows") || has("Macintosh") || has("Linux") || has("CrOS"):
		return "desktop"
	default:
		return ""
	}
}

// countryOf returns a country code, or nothing for what is none; XX and T1 are how proxies write unknown and Tor.
func countryOf(s string) string {
	if s = strings.ToUpper(s); len(s) != 2 || s == "XX" || s[0] < 'A' || s[0] > 'Z' || s[1] < 'A' || s[1] > 'Z' {
		return ""
	}
	return s
}

// limits holds a limiter for each key that has a rate.
type limits struct{ byKey sync.Map }

type keyLimit struct {
	rate    uint32
	limiter *rate.Limiter
}

// of returns the key's limiter; nil when the key has no limit. A second's events, or one batch, may come at once.
func (l *limits) of(k *registry.Key) *rate.Limiter {
	limit := k.GetRateLimit()
	if limit == 0 {
		return nil
	}
	if known, ok := l.byKey.Load(k.Hash); ok && known.(*keyLimit).rate == limit {
		return known.(*keyLimit).limiter
	}
	made := &keyLimit{limit, rate.NewLimiter(rate.Limit(limit), max(int(limit), event.MaxBatchEvents))}
	l.byKey.Store(k.Hash, made)
	return made.limiter
}
