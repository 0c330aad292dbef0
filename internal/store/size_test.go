package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/aftertouch-io/aftertouch/internal/attribution"
	"github.com/aftertouch-io/aftertouch/internal/store"
	"github.com/aftertouch-io/aftertouch/internal/store/storetest"
)

// TestTheSizeOfABatchIsKnown compares the size that inserts are bounded by with what is sent.
func TestTheSizeOfABatchIsKnown(t *testing.T) {
	var journeys []attribution.Journey
	for i := range 500 {
		journeys = append(journeys, storetest.Journey(fmt.Sprintf("order-%d", i), time.Hour, int64(i), "ann", "bob", "cy", "ann"))
	}
	full := &attribution.Effects{}
	for range 200 {
		one := storetest.Batch().Effects
		full.Facts, full.Journeys = append(full.Facts, one.Facts...), append(full.Journeys, one.Journeys...)
	}
	for name, effects := range map[string]*attribution.Effects{
		"touches": {Facts: touches(1000)}, "journeys": {Journeys: journeys}, "every column": full,
	} {
		estimated, sent := store.Sizes(effects, storetest.Key)
		t.Logf("%s: estimated %d bytes, sent %d", name, estimated, sent)
		if ratio := float64(estimated) / float64(sent); ratio < 0.7 || ratio > 2 {
			t.Errorf("%s: estimated %d bytes, sent %d", name, estimated, sent)
		}
	}
}
