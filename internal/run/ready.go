package run

import (
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
)

// Readiness answers whether this process should get traffic: when all its checks pass and it is not draining.
type Readiness struct {
	mu       sync.Mutex
	checks   []check
	draining atomic.Bool
	watchers []func()
}

type check struct {
	name  string
	ready func() error
}

// Add makes readiness depend on ready, which must be quick and safe to call at any time; its error says what is missing.
func (r *Readiness) Add(name string, ready func() error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.checks = append(r.checks, check{name, ready})
}

// OnDrain calls f once, when draining begins.
func (r *Readiness) OnDrain(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.watchers = append(r.watchers, f)
}

// Drain makes the process unready for good.
func (r *Readiness) Drain() {
	if r.draining.Swap(true) {
		return
	}
	r.mu.Lock()
	watchers := slices.Clone(r.watchers)
	r.mu.Unlock()
	for _, f := range watchers {
		f()
	}
}

// State returns what keeps the process from being ready, by check; empty when it is ready.
func (r *Readiness) State() map[string]string {
	missing := map[string]string{}
	if r.draining.Load() {
		missing["process"] = "draining"
	}
	r.mu.Lock()
	checks := slices.Clone(r.checks)
	r.mu.Unlock()
	for _, c := range checks {
		if err := c.ready(); err != nil {
			missing[c.name] = err.Error()
		}
	}
	return missing
}

// ServeHTTP answers 200 when ready, else 503, and says what is missing.
func (r *Readiness) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	missing := r.State()
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if len(missing) > 0 {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	// The client may be gone; there is nobody else to tell.
	_ = json.NewEncoder(w).Encode(struct {
		Ready   bool              `json:"ready"`
		Missing map[string]string `json:"missing,omitempty"`
	}{len(missing) == 0, missing})
}
