package collector

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/apijson"
	"github.com/aftertouch-io/aftertouch/internal/event"
	"github.com/aftertouch-io/aftertouch/internal/registry"
)

// gif is the smallest transparent image that all browsers accept: 43 bytes, 1x1.
const gif = "GIF89a\x01\x00\x01\x00\x80\x00\x00\xff\xff\xff\x00\x00\x00!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"

// statusHeader says what became of a pixel's event, which the image cannot: ok, refused, unavailable or pending, and the
// reason.
const statusHeader = "Aftertouch-Status"

// singleEventCost is what one event of a pixel, redirect or postback takes from the byte budget beside its parameters.
const singleEventCost = 512

// handlePixel serves the image whatever became of its event.
func (c *Collector) handlePixel(w http.ResponseWriter, r *http.Request) {
	c.inFlight.add()
	defer c.inFlight.done()
	h := w.Header()
	if r.Method != http.MethodHead { // who only asks whether the image is there has seen nothing
		h["Aftertouch-Status"] = []string{c.takePixel(r)}
	}
	h["Content-Type"] = gifType
	h["Cache-Control"] = noStore
	h["Content-Length"] = gifLength
	h["Access-Control-Allow-Origin"] = anyOrigin
	h["Access-Control-Expose-Headers"] = exposeStatus
	h["Cross-Origin-Resource-Policy"] = crossOrigin
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write([]byte(gif)) // the browser is gone when this fails
}

// Header values that never change, shared by all answers.
var (
	gifType      = []string{"image/gif"}
	noStore      = []string{"no-store"}
	gifLength    = []string{"43"}
	anyOrigin    = []string{"*"}
	exposeStatus = []string{statusHeader}
	crossOrigin  = []string{"cross-origin"}
)

// takePixel takes the event and returns the status header.
func (c *Collector) takePixel(r *http.Request) string {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		p := &problem{event.Malformed, ""}
		c.reject(nil, overPixel, p, 1)
		return statusOf(aftertouchv1.CollectResult_refused, string(p.reason))
	}
	b, release, key, p := c.takeSingle(r, values, overPixel, "impression")
	if p != nil {
		c.reject(key, overPixel, p, 1)
		if p.httpStatus() >= http.StatusTooManyRequests {
			c.metrics.lost.Inc()
			return statusOf(aftertouchv1.CollectResult_unavailable, string(p.reason))
		}
		return statusOf(aftertouchv1.CollectResult_refused, string(p.reason))
	}
	result, done := c.commitSingle(b, release, nil)
	if !done {
		return "pending"
	}
	return statusOf(result.status, result.reason)
}

func statusOf(s outcome, reason string) string {
	if reason == "" {
		return s.String()
	}
	return s.String() + "; reason=" + reason
}

// takeSingle admits a request that is one event and adds that to a batch. The caller hands both on to commitSingle.
func (c *Collector) takeSingle(r *http.Request, values url.Values, t transport, kind string) (b *batch, release func(), key *registry.Key, p *problem) {
	given := registry.BearerToken(first(r.Header["Authorization"]))
	if given == "" {
		given = values.Get("key")
	}
	from, key, p := c.admit(given, registry.RequestOrigin(first(r.Header["Origin"]), first(r.Header["Referer"])), 1)
	if p != nil {
		return nil, nil, key, p
	}
	if len(r.URL.RawQuery) > event.MaxEventBytes {
		return nil, nil, key, &problem{event.EventTooLarge, "an event has at most 16 KiB"}
	}
	size := int64(singleEventCost + len(r.URL.RawQuery))
	if !c.budget.TryAcquire(size) {
		return nil, nil, key, &problem{reasonOverBudget, details[reasonOverBudget]}
	}
	c.observe(from, r.Header)
	b = c.newBatch(from, t)
	e := &b.event
	e.Reset()
	if refusal := newParams(values).read(e, kind); refusal != nil {
		b.refuse(e.EventId, refusal)
	} else {
		if e.PageUrl == "" && from.source == aftertouchv1.Stamps_browser {
			e.PageUrl = strings.ToValidUTF8(first(r.Header["Referer"]), "")
		}
		b.add(e)
	}
	return b, func() { c.budget.Release(size); b.release() }, key, nil
}

// commitSingle commits a batch of one event together with those of other requests and waits for the answer, until the group
// is late or impatient fires. The event is made durable in any case, and counted as lost when it cannot be.
func (c *Collector) commitSingle(b *batch, release func(), impatient <-chan time.Time) (answer result, done bool) {
	if len(b.records) == 0 {
		defer release()
		b.count()
		return b.results[0], true
	}
	g := c.sink.join(b.records[0])
	settle := func() result {
		defer release()
		if b.settle(g.err) && b.transport != overPostback {
			c.metrics.lost.Inc()
		}
		return b.results[0]
	}
	select {
	case <-g.done:
		return settle(), true
	case <-g.late:
	case <-impatient:
	}
	c.inFlight.add()
	go func() {
		defer c.inFlight.done()
		<-g.done
		settle()
	}()
	return result{}, false
}

// handlePostback takes one event of a server that can only call an address: parameters in the query or in a form.
func (c *Collector) handlePostback(w http.ResponseWriter, r *http.Request) {
	c.inFlight.add()
	defer c.inFlight.done()
	if r.Method == http.MethodHead { // it must change nothing, and its answer would say nothing
		w.Header().Set("Allow", "GET, POST")
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, event.MaxEventBytes)
	var key *registry.Key
	p := &problem{event.Malformed, "the parameters cannot be read"}
	if err := r.ParseForm(); err == nil {
		var b *batch
		var release func()
		if b, release, key, p = c.takeSingle(r, r.Form, overPostback, "conversion"); p == nil {
			answer, done := c.commitSingle(b, release, nil)
			status := http.StatusOK
			if !done {
				answer = result{status: aftertouchv1.CollectResult_unavailable, reason: reasonUnavailable, detail: "send the event again"}
			}
			if answer.status == aftertouchv1.CollectResult_unavailable {
				status = http.StatusServiceUnavailable
				w.Header().Set("Retry-After", "1")
			}
			writeResults(w, status, []result{answer})
			return
		}
	} else if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		p = &problem{event.EventTooLarge, "an event has at most 16 KiB"}
	}
	c.reject(key, overPostback, p, 1)
	apijson.WriteError(w, p.httpStatus(), apijson.Error{Reason: string(p.reason), Detail: p.detail})
}
