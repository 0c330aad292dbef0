package query

import (
	"context"
	"fmt"
	"sort"
	"strings"
	"sync"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// graph is the shape of a workspace's links: how often they must be followed, and which visitors lead to each other.
type graph struct {
	// steps is how often the target of a link must be followed until it is a person.
	steps int
	// stands names, for each visitor in a circle of links, the one that stands for the circle. Hashes in hexadecimal.
	stands map[string]string
}

// maxSteps bounds the statement; longer chains of links are followed that far.
const maxSteps = 64

// graphCache keeps the shape of the links while they do not change.
type graphCache struct {
	mu    sync.Mutex
	byKey map[string]cachedGraph
}

type cachedGraph struct {
	fingerprint [2]uint64
	graph       *graph
}

// graph returns the shape of the workspace's links. ctx binds the parameter workspace.
func (s *Service) graph(ctx context.Context, workspace string) (*graph, error) {
	var fingerprint [2]uint64
	err := s.conn.QueryRow(ctx, statement("fingerprint.sql", nil)).Scan(&fingerprint[0], &fingerprint[1])
	if err != nil {
		return nil, fmt.Errorf("reading whether links changed: %w", err)
	}
	s.graphs.mu.Lock()
	cached, ok := s.graphs.byKey[workspace]
	s.graphs.mu.Unlock()
	if ok && cached.fingerprint == fingerprint {
		return cached.graph, nil
	}
	links := map[string][]string{}
	twoSteps := false
	err = s.each(ctx, "links", statement("deeplinks.sql", nil), func(rows driver.Rows) error {
		var from, to string
		if err := rows.Scan(&from, &to); err != nil {
			return err
		}
		if from == "" {
			twoSteps = true
			return nil
		}
		links[from] = append(links[from], to)
		return nil
	})
	if err != nil {
		return nil, err
	}
	g := newGraph(links, twoSteps)
	s.graphs.mu.Lock()
	defer s.graphs.mu.Unlock()
	if s.graphs.byKey == nil {
		s.graphs.byKey = map[string]cachedGraph{}
	}
	s.graphs.byKey[workspace] = cachedGraph{fingerprint, g}
	return g, nil
}

// newGraph works out the shape from the deep links: those whose target leads on to somebody who leads on.
func newGraph(deep map[string][]string, twoSteps bool) *graph {
	g := &graph{stands: map[string]string{}}
	if twoSteps {
		g.steps = 1
	}
	if len(deep) == 0 {
		return g
	}
	c := components{links: deep, index: map[string]int{}, low: map[string]int{}, on: map[string]bool{}, of: map[string]string{}, depth: map[string]int{}}
	nodes := make([]string, 0, len(deep))
	for node := range deep {
		nodes = append(nodes, node)
	}
	sort.Strings(nodes)
	longest := 0
	for _, node := range nodes {
		if _, seen := c.index[node]; !seen {
			c.visit(node)
		}
		longest = max(longest, c.depth[c.of[node]])
	}
	for node, stand := range c.of {
		if c.circular(node) {
			g.stands[node] = stand
		}
	}
	// A path of n deep links is followed by two more; the first needs no step. Who is in a circle has one more, to who
	// stands for it.
	g.steps = longest + 1
	if len(g.stands) > 0 {
		g.steps++
	}
	g.steps = min(g.steps, maxSteps)
	return g
}

// components finds circles with Tarjan's algorithm (1972), without recursion because chains may be long.
type components struct {
	links map[string][]string
	index map[string]int
	low   map[string]int
	on    map[string]bool
	stack []string
	// of names the first member of each node's component; depth is the longest path from a component, in links.
	of    map[string]string
	depth map[string]int
	// sizes counts the members, by first member.
	sizes map[string]int
}

type frame struct {
	node string
	next int
}

func (c *components) visit(root string) {
	frames := []frame{{node: root}}
	c.enter(root)
	for len(frames) > 0 {
		f := &frames[len(frames)-1]
		if targets := c.links[f.node]; f.next < len(targets) {
			target := targets[f.next]
			f.next++
			if _, seen := c.index[target]; !seen {
				c.enter(target)
				frames = append(frames, frame{node: target})
			} else if c.on[target] {
				c.low[f.node] = min(c.low[f.node], c.index[target])
			}
			continue
		}
		node := f.node
		frames = frames[:len(frames)-1]
		if len(frames) > 0 {
			parent := frames[len(frames)-1].node
			c.low[parent] = min(c.low[parent], c.low[node])
		}
		if c.low[node] == c.index[node] {
			c.leave(node)
		}
	}
}

func (c *components) enter(node string) {
	c.index[node] = len(c.index)
	c.low[node] = c.index[node]
	c.on[node] = true
	c.stack = append(c.stack, node)
}

// leave takes the component that began at node off the stack. What it leads to has been left before.
func (c *components) leave(node string) {
	at := len(c.stack) - 1
	for c.stack[at] != node {
		at--
	}
	members := append([]string(nil), c.stack[at:]...)
	c.stack = c.stack[:at]
	sort.Strings(members)
	first := members[0]
	for _, m := range members {
		c.on[m] = false
		c.of[m] = first
	}
	if c.sizes == nil {
		c.sizes = map[string]int{}
	}
	c.sizes[first] = len(members)
	depth := 0
	for _, m := range members {
		for _, target := range c.links[m] {
			if c.of[target] != first {
				depth = max(depth, 1+c.depth[c.of[target]])
			}
		}
	}
	c.depth[first] = depth
}

// circular reports whether the node is in a component of several.
func (c *components) circular(node string) bool { return c.sizes[c.of[node]] > 1 }

// args adds what the statement links.sql needs.
func (g *graph) args(args map[string]any) {
	type step struct{ From, To int }
	var steps []step
	for i := range g.steps {
		steps = append(steps, step{i, i + 1})
	}
	members := make([]string, 0, len(g.stands))
	for m := range g.stands {
		members = append(members, m)
	}
	sort.Strings(members)
	stands := make([]string, len(members))
	for i, m := range members {
		stands[i] = "'" + g.stands[m] + "'"
		members[i] = "'" + m + "'"
	}
	args["Steps"], args["Last"] = steps, g.steps
	args["Members"], args["Stands"] = strings.Join(members, ", "), strings.Join(stands, ", ")
}
