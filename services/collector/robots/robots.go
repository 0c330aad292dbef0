// Package robots recognises crawlers, link previews and automated browsers by their user agent (E8).
//
// The list is crawler-user-agents 1.60.0 by Martin Monperrus and contributors (MIT licence, beside this file):
// patterns.tsv holds the tags and the pattern of each entry, in its order. update.sh renews it.
package robots

import (
	_ "embed"
	"fmt"
	"hash/maphash"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"sync"
)

//go:embed patterns.tsv
var patterns string

// HTTPLibrary tags general HTTP clients: they are how apps, servers and people with a terminal speak, not robots by
// themselves.
const HTTPLibrary = "http-library"

// maxCached bounds what is remembered; one answer takes a few bytes, since user agents are kept as hashes (P1).
const maxCached = 1 << 16

// prefixLength is how many bytes of a literal find it. The list has few shorter literals.
const prefixLength = 4

// List answers whether a user agent is a robot's. It is safe for concurrent use.
type List struct {
	// literal holds, by their first bytes, the entries that begin with a literal; the rest are tried one after another.
	literal map[[prefixLength]byte][]entry
	rest    []*regexp.Regexp

	seed  maphash.Seed
	mu    sync.RWMutex
	cache map[uint64]bool
}

// entry is a pattern that begins with a literal; expression is nil when that is all of it.
type entry struct {
	prefix     string
	expression *regexp.Regexp
}

// New reads the list without the entries that have one of the given tags.
func New(without ...string) (*List, error) {
	l := &List{literal: map[[prefixLength]byte][]entry{}, seed: maphash.MakeSeed(), cache: map[uint64]bool{}}
	for line := range strings.Lines(patterns) {
		tags, pattern, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if !ok {
			return nil, fmt.Errorf("reading robot list: bad line %q", line)
		}
		if slices.ContainsFunc(strings.Split(tags, ","), func(tag string) bool { return slices.Contains(without, tag) }) {
			continue
		}
		if err := l.add(pattern); err != nil {
			return nil, fmt.Errorf("reading robot list: pattern %q: %w", pattern, err)
		}
	}
	return l, nil
}

func (l *List) add(pattern string) error {
	expression, err := regexp.Compile(pattern)
	if err != nil {
		return err
	}
	prefix, complete := expression.LiteralPrefix()
	if anchored(pattern) || len(prefix) < prefixLength {
		l.rest = append(l.rest, expression)
		return nil
	}
	if complete {
		expression = nil
	}
	key := [prefixLength]byte([]byte(prefix))
	l.literal[key] = append(l.literal[key], entry{prefix, expression})
	return nil
}

// anchored reports whether a match depends on where in the text it is; such a pattern has a literal prefix all the same.
func anchored(pattern string) bool {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	return err != nil || hasAnchor(parsed)
}

func hasAnchor(re *syntax.Regexp) bool {
	switch re.Op { //nolint:exhaustive // only anchors matter
	case syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return true
	}
	return slices.ContainsFunc(re.Sub, hasAnchor)
}

// Match reports whether the user agent is a robot's. The empty one is not: some browsers and apps send none.
func (l *List) Match(userAgent string) bool {
	if userAgent == "" {
		return false
	}
	hash := maphash.String(l.seed, userAgent)
	l.mu.RLock()
	robot, known := l.cache[hash]
	l.mu.RUnlock()
	if known {
		return robot
	}
	robot = l.match(userAgent)
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.cache) >= maxCached {
		clear(l.cache) // the common ones are back within moments
	}
	l.cache[hash] = robot
	return robot
}

func (l *List) match(userAgent string) bool {
	for i := 0; i+prefixLength <= len(userAgent); i++ {
		tail := userAgent[i:]
		for _, e := range l.literal[[prefixLength]byte([]byte(tail[:prefixLength]))] {
			if strings.HasPrefix(tail, e.prefix) && (e.expression == nil || e.expression.MatchString(tail)) {
				return true
			}
		}
	}
	return slices.ContainsFunc(l.rest, func(re *regexp.Regexp) bool { return re.MatchString(userAgent) })
}
