package collector

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"time"
	"unicode/utf8"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/apijson"
	"github.com/aftertouch-io/aftertouch/internal/event"
	"github.com/aftertouch-io/aftertouch/internal/eventlog"
	"google.golang.org/protobuf/reflect/protoreflect"
)

var errUnknownWorkspace = errors.New("unknown workspace")

// outcome is what became of an event.
type outcome = aftertouchv1.CollectResult_Status

// result is the answer for one event.
type result struct {
	eventID string
	status  outcome
	reason  string
	detail  string
}

// batch is one request on its way through validation into the log. Its buffers are used again.
type batch struct {
	stamper   stamper
	c         *Collector
	transport transport
	began     time.Time
	results   []result
	records   []eventlog.Record
	buf       []byte // keys and values of records
	event     aftertouchv1.Event
	refused   map[string]int // by reason
}

// newBatch begins a batch; release gives it back.
func (c *Collector) newBatch(from *caller, t transport) *batch {
	b := c.batches.Get().(*batch)
	b.c, b.transport, b.began = c, t, c.clock()
	b.stamper.caller, b.stamper.now, b.stamper.scrubbed = from, b.began.UnixMilli(), 0
	return b
}

// maxKept bounds the memory that a batch takes along to its next use, in bytes.
const maxKept = 4 << 20

// release gives the batch back; its results are not valid any more.
func (b *batch) release() {
	clear(b.records)
	clear(b.results)
	clear(b.refused)
	b.records, b.results, b.stamper.caller = b.records[:0], b.results[:0], nil
	b.event.Reset()
	b.stamper.stamps.Reset()
	if cap(b.buf) > maxKept {
		b.buf = nil
	}
	b.buf = b.buf[:0]
	b.c.batches.Put(b)
}

// addProto decodes one event and adds it. The batch keeps nothing of raw.
func (b *batch) addProto(raw []byte) {
	b.event.Reset()
	if len(raw) > event.MaxEventBytes {
		b.refuse("", newRefusal(event.EventTooLarge, "an event has at most 16 KiB"))
		return
	}
	if err := b.event.UnmarshalVT(raw); err != nil {
		b.refuse("", newRefusal(event.Malformed, "the event is not a protobuf message of its type"))
		return
	}
	dropUnknown(&b.event)
	b.add(&b.event)
}

// dropUnknown removes fields that this version does not know: what nobody has checked is not stored (P1). Times, consent and
// stamps are not looked at, because they are written anew or checked in full.
func dropUnknown(e *aftertouchv1.Event) {
	drop := func(m protoreflect.Message) {
		if len(m.GetUnknown()) > 0 {
			m.SetUnknown(nil)
		}
	}
	drop(e.ProtoReflect())
	switch kind := e.Kind.(type) {
	case *aftertouchv1.Event_Impression:
		drop(kind.Impression.ProtoReflect())
	case *aftertouchv1.Event_Visit:
		drop(kind.Visit.ProtoReflect())
	case *aftertouchv1.Event_Click:
		drop(kind.Click.ProtoReflect())
	case *aftertouchv1.Event_Engagement:
		drop(kind.Engagement.ProtoReflect())
	case *aftertouchv1.Event_Identify:
		drop(kind.Identify.ProtoReflect())
	case *aftertouchv1.Event_Conversion:
		drop(kind.Conversion.ProtoReflect())
		for _, item := range kind.Conversion.GetItems() {
			drop(item.ProtoReflect())
		}
	}
}

// addJSON decodes one event and adds it.
func (b *batch) addJSON(raw []byte) {
	b.event.Reset()
	if len(raw) > event.MaxEventBytes {
		b.refuse("", newRefusal(event.EventTooLarge, "an event has at most 16 KiB"))
		return
	}
	unknown, err := apijson.Unmarshal(raw, &b.event)
	if err != nil {
		b.refuse(eventIDOf(raw), newRefusal(event.Malformed, err.Error()))
		return
	}
	b.c.metrics.unknown.Add(float64(unknown))
	b.add(&b.event)
}

// eventIDOf returns the id of an event that could not be decoded as a whole, so that its sender knows which one it was.
func eventIDOf(raw []byte) string {
	var id struct {
		Snake any `json:"event_id"`
		Camel any `json:"eventId"`
	}
	if json.Unmarshal(raw, &id) != nil {
		return ""
	}
	if s, ok := id.Snake.(string); ok {
		return s
	}
	s, _ := id.Camel.(string)
	return s
}

// add stamps an event and encodes it; the event is not used afterwards.
func (b *batch) add(e *aftertouchv1.Event) {
	if refusal := b.stamper.stamp(e); refusal != nil {
		b.refuse(e.EventId, refusal)
		return
	}
	if e.EventId == "" {
		e.EventId = newEventID()
	}
	to := event.AddressOf(b.stamper.id(), e)
	if event.IsRedirectClick(e) {
		e.Stamps.Click = nil // it says where a replayed click goes, as the redirect itself knew
	}
	b.append(to, e)
}

// append encodes a stamped event for its entity.
func (b *batch) append(to event.Address, e *aftertouchv1.Event) {
	start := len(b.buf)
	b.buf = to.AppendKey(b.buf)
	middle := len(b.buf)
	buf, err := event.AppendEvent(b.buf, e)
	if err != nil {
		b.buf = b.buf[:start]
		b.refuse(e.EventId, newRefusal(event.Malformed, "the event cannot be encoded"))
		return
	}
	b.buf = buf
	// A buffer that grew leaves the earlier records where they are.
	b.records = append(b.records, eventlog.Record{Key: b.buf[start:middle:middle], Value: b.buf[middle:len(b.buf):len(b.buf)]})
	b.results = append(b.results, result{eventID: e.EventId, status: aftertouchv1.CollectResult_ok})
	for _, flag := range e.Stamps.GetFlags() {
		b.c.countFlag(flag)
	}
}

func (b *batch) refuse(eventID string, refusal *event.Refusal) {
	if !utf8.ValidString(eventID) {
		eventID = "" // it could not be answered
	}
	b.results = append(b.results, result{eventID, aftertouchv1.CollectResult_refused, string(refusal.Reason), refusal.Detail})
	b.countRefused(string(refusal.Reason), 1)
}

func (b *batch) countRefused(reason string, n int) {
	if b.refused == nil {
		b.refused = map[string]int{}
	}
	b.refused[reason] += n
}

// commit makes the good events durable, or turns their results into unavailable, and counts. It reports whether no event at
// all could be taken for want of brokers and spool.
func (b *batch) commit(ctx context.Context) (unavailable bool) {
	return b.settle(b.c.sink.append(ctx, b.records))
}

// settle is the second half of commit, given what became of the records.
func (b *batch) settle(err error) (unavailable bool) {
	if err != nil {
		b.c.log.Debug("events are not durable", "events", len(b.records), "error", err)
		for i := range b.results {
			if r := &b.results[i]; r.status == aftertouchv1.CollectResult_ok {
				r.status, r.reason, r.detail = aftertouchv1.CollectResult_unavailable, reasonUnavailable, "send the event again with the same event_id"
			}
		}
		b.countRefused(reasonUnavailable, len(b.records))
		unavailable = len(b.records) == len(b.results) && len(b.records) > 0
	} else {
		b.c.metrics.out[b.transport].Add(float64(len(b.records)))
	}
	b.count()
	return unavailable
}

func (b *batch) count() {
	m := b.c.metrics
	m.in[b.transport].Add(float64(len(b.results)))
	m.scrubbed.Add(float64(b.stamper.scrubbed))
	keyID := b.stamper.keyID()
	for reason, n := range b.refused {
		b.c.refusals.count(b.stamper.id(), keyID, b.transport, reason, n, b.began)
	}
	m.duration[b.transport].Observe(b.c.clock().Sub(b.began).Seconds())
}

// flags that the collector sets, as labels; a replay may bring others.
var knownFlags = map[string]bool{
	event.FlagRobot: true, event.FlagNotInForce: true, event.FlagUnknownCode: true, event.FlagClampedTime: true,
	event.FlagNoConsent: true, event.FlagUnknownToken: true,
}

func (c *Collector) countFlag(flag string) {
	if !knownFlags[flag] {
		flag = "other"
	}
	c.metrics.flagged.WithLabelValues(flag).Inc()
}

// newEventID makes an id of 128 random bits.
func newEventID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	var text [22]byte
	base64.RawURLEncoding.Encode(text[:], b[:])
	return string(text[:])
}
