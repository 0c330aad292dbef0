package collector

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/aftertouch-io/aftertouch/internal/apijson"
	"github.com/aftertouch-io/aftertouch/internal/event"
	"github.com/aftertouch-io/aftertouch/internal/registry"
	"github.com/aftertouch-io/aftertouch/services/collector/tracker"
	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc/codes"
)

// readTimeout bounds how long a request's body may take, because what has come holds a part of the byte budget meanwhile.
const readTimeout = 10 * time.Second

// RegisterHTTP registers /v1/events, /v1/pixel.gif, /v1/postback, /c/{link} and /at.js.
func (c *Collector) RegisterHTTP(mux *http.ServeMux) {
	mux.HandleFunc("POST /v1/events", c.handleEvents)
	mux.HandleFunc("OPTIONS /v1/events", c.handlePreflight)
	mux.HandleFunc("GET /v1/pixel.gif", c.handlePixel)
	mux.HandleFunc("GET /v1/postback", c.handlePostback)
	mux.HandleFunc("POST /v1/postback", c.handlePostback)
	mux.HandleFunc("GET /c/{link}", c.handleRedirect)
	mux.Handle("GET /at.js", tracker.Handler())
}

// problem is why a whole request is not taken.
type problem struct {
	reason event.Reason
	detail string
}

func (p *problem) Error() string { return string(p.reason) + ": " + p.detail }

// statuses of whole requests (DESIGN 11).
func (p *problem) httpStatus() int {
	switch p.reason {
	case event.UnknownKey, event.RevokedKey:
		return http.StatusUnauthorized
	case event.WrongScope, event.OriginRefused:
		return http.StatusForbidden
	case event.BatchTooLarge, event.EventTooLarge:
		return http.StatusRequestEntityTooLarge
	case reasonRateLimited:
		return http.StatusTooManyRequests
	case reasonOverBudget, reasonNotReady, reasonDraining, reasonUnavailable:
		return http.StatusServiceUnavailable
	default:
		return http.StatusBadRequest
	}
}

func (p *problem) grpcCode() codes.Code {
	switch p.httpStatus() {
	case http.StatusUnauthorized:
		return codes.Unauthenticated
	case http.StatusForbidden:
		return codes.PermissionDenied
	case http.StatusTooManyRequests:
		return codes.ResourceExhausted
	case http.StatusServiceUnavailable:
		if p.reason == reasonOverBudget {
			return codes.ResourceExhausted
		}
		return codes.Unavailable
	default:
		return codes.InvalidArgument
	}
}

// details of refusals that need no other.
var details = map[event.Reason]string{
	event.UnknownKey:    "send a key as Authorization: Bearer, or as the parameter key",
	event.RevokedKey:    "the key was revoked; use another one",
	event.WrongScope:    "the key has not the scope collect",
	event.OriginRefused: "the web key is not for this origin; add it to the key's origins",
	reasonOverBudget:    "too much is waiting for the brokers; try again",
	reasonRateLimited:   "the key's rate limit is reached; try again",
	reasonNotReady:      "the registry is still being read; try again",
	reasonDraining:      "this collector is shutting down; try again",
}

// admit authenticates a request and applies the key's rate limit to n events.
func (c *Collector) admit(key, origin string, n int) (*caller, *registry.Key, *problem) {
	if !c.registry.Ready() {
		return nil, nil, &problem{reasonNotReady, details[reasonNotReady]}
	}
	from, k, reason := c.authenticate(key, origin)
	if reason != "" {
		return nil, k, &problem{reason, details[reason]}
	}
	if limiter := c.limits.of(k); limiter != nil && !limiter.AllowN(c.clock(), n) {
		return nil, k, &problem{reasonRateLimited, details[reasonRateLimited]}
	}
	return from, k, nil
}

// reject counts a request that is not taken; k is its key when it is known.
func (c *Collector) reject(k *registry.Key, t transport, p *problem, n int) {
	workspace, keyID := "", ""
	if k != nil {
		workspace, keyID = k.Workspace, k.GetKeyId()
	}
	c.metrics.in[t].Add(float64(n))
	c.refusals.count(workspace, keyID, t, string(p.reason), n, c.clock())
}

// keyOf returns the key of an HTTP request.
func keyOf(r *http.Request) string {
	if key := registry.BearerToken(r.Header.Get("Authorization")); key != "" {
		return key
	}
	return r.URL.Query().Get("key")
}

func originOf(r *http.Request) string {
	return registry.RequestOrigin(r.Header.Get("Origin"), r.Header.Get("Referer"))
}

// handleEvents takes {"events": [...]}.
func (c *Collector) handleEvents(w http.ResponseWriter, r *http.Request) {
	c.inFlight.add()
	defer c.inFlight.done()
	allowOrigin(w, r)
	from, key, p := c.admit(keyOf(r), originOf(r), 0)
	if p == nil {
		p = c.takeEvents(w, r, from)
	}
	if p != nil {
		if p.reason == event.OriginRefused {
			w.Header().Del("Access-Control-Allow-Origin")
		}
		c.reject(key, overHTTP, p, 1)
		apijson.WriteError(w, p.httpStatus(), apijson.Error{Reason: string(p.reason), Detail: p.detail})
	}
}

func (c *Collector) takeEvents(w http.ResponseWriter, r *http.Request, from *caller) *problem {
	if p := checkBody(r); p != nil {
		return p
	}
	paid := &payer{budget: c.budget}
	defer func() { c.budget.Release(paid.bytes) }()
	body, p := readBody(w, r, paid)
	if p != nil {
		return p
	}
	events, p := splitEnvelope(body)
	if p != nil {
		return p
	}
	if limiter := c.limits.of(from.key); limiter != nil && !limiter.AllowN(c.clock(), len(events)) {
		return &problem{reasonRateLimited, details[reasonRateLimited]}
	}
	c.observe(from, r.Header)
	b := c.newBatch(from, overHTTP)
	defer b.release()
	for _, raw := range events {
		b.addJSON(raw)
	}
	status := http.StatusOK
	if b.commit(r.Context()) {
		status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", "1")
	}
	writeResults(w, status, b.results)
	return nil
}

// checkBody refuses a body by what its headers say.
func checkBody(r *http.Request) *problem {
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if ct := r.Header.Get("Content-Type"); ct != "" && (err != nil || mediaType != "application/json" && mediaType != "text/plain") {
		return &problem{event.Malformed, "Content-Type must be application/json or text/plain"}
	}
	switch r.Header.Get("Content-Encoding") {
	case "", "identity", "gzip":
	default:
		return &problem{event.Malformed, "Content-Encoding must be gzip or none"}
	}
	if r.ContentLength > event.MaxBatchBytes {
		return &problem{event.BatchTooLarge, "a batch has at most 1 MiB"}
	}
	return nil
}

// payer takes what is read through it from the byte budget as it comes: who announces much and sends nothing holds nothing.
type payer struct {
	from   io.Reader
	budget *semaphore.Weighted
	bytes  int64
}

var errOverBudget = errors.New("over budget")

// Read reads, and fails when the budget has no room for what came.
func (p *payer) Read(b []byte) (int, error) {
	n, err := p.from.Read(b)
	if !p.budget.TryAcquire(int64(n)) {
		return 0, errOverBudget
	}
	p.bytes += int64(n)
	return n, err
}

// readBody reads the body, unzipped, at the budget's expense.
func readBody(w http.ResponseWriter, r *http.Request, paid *payer) ([]byte, *problem) {
	// Not all writers can set deadlines; the server's own limits hold then.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(readTimeout))
	var in io.Reader = http.MaxBytesReader(w, r.Body, event.MaxBatchBytes)
	if r.Header.Get("Content-Encoding") == "gzip" {
		unzipped, err := gzip.NewReader(in)
		if err != nil {
			return nil, &problem{event.Malformed, "the body is not gzip"}
		}
		in = io.LimitReader(unzipped, event.MaxBatchBytes+1)
	}
	paid.from = in
	body, err := io.ReadAll(paid)
	tooLarge := (*http.MaxBytesError)(nil)
	switch {
	case errors.As(err, &tooLarge) || len(body) > event.MaxBatchBytes:
		return nil, &problem{event.BatchTooLarge, "a batch has at most 1 MiB"}
	case errors.Is(err, errOverBudget):
		return nil, &problem{reasonOverBudget, details[reasonOverBudget]}
	case err != nil:
		return nil, &problem{event.Malformed, "the body cannot be read to its end"}
	}
	return body, nil
}

// splitEnvelope takes the list of events apart without decoding them, so that a bad one costs no other (E2).
func splitEnvelope(body []byte) ([]json.RawMessage, *problem) {
	var envelope struct {
		Events []json.RawMessage `json:"events"`
	}
	if err := json.Unmarshal(body, &envelope); err != nil {
		detail := `the body is not {"events":[...]}`
		if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
			detail = fmt.Sprintf("the body is not JSON: syntax error at byte %d", syntax.Offset)
		}
		return nil, &problem{event.Malformed, detail}
	}
	if envelope.Events == nil {
		return nil, &problem{event.Malformed, `the body has no list "events"`}
	}
	if len(envelope.Events) > event.MaxBatchEvents {
		return nil, &problem{event.BatchTooLarge, "a batch has at most 1,000 events"}
	}
	return envelope.Events, nil
}

type jsonResult struct {
	EventID string `json:"event_id"`
	Status  string `json:"status"`
	Reason  string `json:"reason"`
	Detail  string `json:"detail"`
}

func writeResults(w http.ResponseWriter, status int, results []result) {
	out := struct {
		Results []jsonResult `json:"results"`
	}{make([]jsonResult, len(results))}
	for i, r := range results {
		out.Results[i] = jsonResult{r.eventID, r.status.String(), r.reason, r.detail}
	}
	body, err := json.Marshal(out)
	if err != nil {
		apijson.WriteError(w, http.StatusInternalServerError, apijson.Error{Reason: "internal", Detail: "the answer cannot be written"})
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the caller is gone when this fails
}

// allowOrigin lets scripts of the origin read the answer. Which origins a key is for is checked with the key.
func allowOrigin(w http.ResponseWriter, r *http.Request) {
	w.Header().Add("Vary", "Origin")
	if origin := r.Header.Get("Origin"); origin != "" {
		w.Header().Set("Access-Control-Allow-Origin", origin)
	}
}

// handlePreflight answers what browsers ask before they send JSON to another origin.
func (c *Collector) handlePreflight(w http.ResponseWriter, r *http.Request) {
	allowOrigin(w, r)
	if key := r.URL.Query().Get("key"); key != "" {
		if _, _, p := c.admit(key, originOf(r), 0); p != nil && p.reason == event.OriginRefused {
			w.Header().Del("Access-Control-Allow-Origin")
		}
	}
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", "POST")
	h.Set("Access-Control-Allow-Headers", strings.Join([]string{"Authorization", "Content-Type", "Content-Encoding"}, ", "))
	h.Set("Access-Control-Max-Age", "86400")
	w.WriteHeader(http.StatusNoContent)
}
