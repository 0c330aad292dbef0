package store_test

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/aftertouch-io/aftertouch/internal/attribution"
	"github.com/aftertouch-io/aftertouch/internal/event"
	"github.com/aftertouch-io/aftertouch/internal/store"
	"github.com/aftertouch-io/aftertouch/internal/store/storetest"
)

// BenchmarkInsertFacts writes batches of touches as a site sends them: 20 creators, 5 events a visitor, an hour of one day.
// Partitions insert at the same time, as the attributor's do. The embedded engine's processor time counts.
func BenchmarkInsertFacts(b *testing.B) {
	for _, c := range []struct{ partitions, rows int }{{1, 10_000}, {1, 100_000}, {4, 10_000}, {4, 100_000}} {
		b.Run(fmt.Sprintf("partitions=%d/rows=%d", c.partitions, c.rows), func(b *testing.B) {
			s := storetest.Open(b)
			batches := make([]*store.Batch, c.partitions)
			for i := range batches {
				batches[i] = storetest.Batch()
				batches[i].Partition = int32(i)
				batches[i].Effects = &attribution.Effects{Facts: touches(c.rows)}
			}
			b.ReportAllocs()
			cpu := processorTime(b)
			for b.Loop() {
				var all errgroup.Group
				for _, batch := range batches {
					all.Go(func() error { return s.Insert(b.Context(), batch) })
				}
				if err := all.Wait(); err != nil {
					b.Fatal(err)
				}
			}
			report(b, c.partitions*c.rows, cpu)
		})
	}
}

// report prints rows per second of time and microseconds of all processors per row.
func report(b *testing.B, rows int, cpu time.Duration) {
	b.Helper()
	n := float64(rows) * float64(b.N)
	b.ReportMetric(n/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(float64((processorTime(b)-cpu).Microseconds())/n, "cpu-µs/row")
}

// processorTime is what the process, the engine in it included, has used of all processors.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkInsertJourneys writes journeys of ten touches of five creators, each to both tables.
func BenchmarkInsertJourneys(b *testing.B) {
	const rows = 10_000
	s := storetest.Open(b)
	batch := storetest.Batch()
	batch.Effects = &attribution.Effects{}
	creators := []string{"ann", "bob", "cy", "dee", "eve", "ann", "bob", "cy", "dee", "eve"}
	for i := range rows {
		batch.Effects.Journeys = append(batch.Effects.Journeys,
			storetest.Journey(fmt.Sprintf("order-%d", i), time.Duration(i)*time.Second, int64(i), creators...))
	}
	b.ReportAllocs()
	cpu := processorTime(b)
	for b.Loop() {
		if err := s.Insert(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
	report(b, rows, cpu)
}

func touches(n int) []attribution.Fact {
	r := rand.New(rand.NewPCG(1, 2))
	all := make([]attribution.Fact, n)
	for i := range all {
		creator := r.IntN(20)
		visitor := fmt.Sprintf("%032x", r.Uint64N(uint64(n/5)))
		at := storetest.Start.Add(time.Duration(r.IntN(3600_000)) * time.Millisecond)
		e := &aftertouchv1.Event{
			EventId: fmt.Sprintf("%016x%016x", r.Uint64(), r.Uint64()), VisitorId: visitor,
			EventTime: timestamppb.New(at), SentTime: timestamppb.New(at), Link: fmt.Sprintf("link-%d", creator),
			Placement: fmt.Sprintf("post-%d", r.IntN(60)), PageUrl: "https://blog.example/posts/spring", Referrer: "https://social.example/",
			Consent: &aftertouchv1.Consent{State: aftertouchv1.Consent_granted},
			Stamps: &aftertouchv1.Stamps{
				ReceivedTime: timestamppb.New(at.Add(time.Second)), Source: aftertouchv1.Stamps_browser, Country: "DE", DeviceClass: "mobile",
				WorkspaceVersion: 1, Terms: &aftertouchv1.Terms{
					AgreementId: fmt.Sprintf("deal-%d", creator), AgreementVersion: 1, CampaignId: "spring", CreatorId: fmt.Sprintf("creator-%d", creator),
				},
			},
			Kind: &aftertouchv1.Event_Impression{Impression: &aftertouchv1.Impression{Viewability: aftertouchv1.Impression_viewable, VisibleMs: 1200}},
		}
		if i%8 == 0 {
			e.Kind = &aftertouchv1.Event_Click{Click: &aftertouchv1.Click{}}
		}
		all[i] = storetest.Fact(event.VisitorAddress(storetest.Workspace, visitor), e, int64(i))
		all[i].PayloadHash = r.Uint64()
	}
	return all
}
