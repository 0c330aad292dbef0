package collector

import (
	"testing"
)

func TestPostedEventIsStampedAndLogged(t *testing.T) {
	r := newRig(t)
	status, answer, _ := r.post(webKey, `{"events":[{"event_id":"e1","visitor_id":"v1","link":"shop-anna","visit":{"session_start":true}}]}`)
	if status != 200 || len(answer.Results) != 1 || answer.Results[0].Status != "ok" || answer.Results[0].EventID != "e1" {
		t.Fatalf("%d %+v", status, answer)
	}
	e := r.only("shop/v:v1")
	t.Log(e)
}
