package attributor

import (
	"cmp"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// status is what others may see of a partition at any time.
type status struct {
	id                int
	next, last        atomic.Int64
	target            atomic.Int64
	since             atomic.Int64
	isRestored, isOut atomic.Bool
}

// end says where the log ends.
func (s *status) end(offset int64) { s.last.Store(offset) }

// restored says that records from next on are applied from now on; those that are there already are the ones to catch up
// with.
func (s *status) restored(next int64) {
	s.next.Store(next)
	s.target.Store(s.last.Load())
	s.isRestored.Store(true)
}

// begin and idle enclose the work on a batch whose first record has the timestamp, Unix ms.
func (s *status) begin(timestamp int64) { s.since.Store(timestamp) }
func (s *status) idle()                 { s.since.Store(0) }

func (s *status) advance(next int64) { s.next.Store(next) }

func (s *status) caughtUp() bool {
	return s.isRestored.Load() && !s.isOut.Load() && s.next.Load() >= s.target.Load()
}

// Lag is how far a partition is behind its log.
type Lag struct {
	Partition int
	// Records that have not been applied.
	Records int64
	// Age of the oldest record that is being applied; 0 when there is none.
	Age time.Duration
	// CaughtUp says that everything has been applied that was in the log when this process took the partition.
	CaughtUp bool
	// Stopped says that the partition stopped with an error that trying again cannot cure.
	Stopped bool
}

func (s *status) lag(now time.Time) Lag {
	l := Lag{
		Partition: s.id, Records: max(s.last.Load()-s.next.Load(), 0),
		CaughtUp: s.caughtUp(), Stopped: s.isOut.Load(),
	}
	if since := s.since.Load(); since > 0 {
		l.Age = max(now.Sub(time.UnixMilli(since)), 0)
	}
	return l
}

// statuses are those of the partitions that this process has now.
type statuses struct {
	mu sync.Mutex
	m  map[int]*status
}

func (s *statuses) add(id int) *status {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := &status{id: id}
	if s.m == nil {
		s.m = map[int]*status{}
	}
	s.m[id] = st
	return st
}

// remove takes a status away, unless a later assignment of the partition has replaced it.
func (s *statuses) remove(st *status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.m[st.id] == st {
		delete(s.m, st.id)
	}
}

func (s *statuses) stop(id int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st := s.m[id]; st != nil {
		st.isOut.Store(true)
	}
}

func (s *statuses) lags(now time.Time) []Lag {
	s.mu.Lock()
	defer s.mu.Unlock()
	lags := make([]Lag, 0, len(s.m))
	for _, st := range s.m {
		lags = append(lags, st.lag(now))
	}
	slices.SortFunc(lags, func(a, b Lag) int { return cmp.Compare(a.Partition, b.Partition) })
	return lags
}

var (
	descLagRecords = prometheus.NewDesc("aftertouch_attributor_lag_records", "Records that have not been applied.", []string{"partition"}, nil)
	descLagSeconds = prometheus.NewDesc("aftertouch_attributor_lag_seconds", "Age of the oldest record that is being applied.", []string{"partition"}, nil)
	descStopped    = prometheus.NewDesc("aftertouch_attributor_partitions_stopped", "Partitions that stopped with an error that trying again cannot cure.", nil, nil)
	descAssigned   = prometheus.NewDesc("aftertouch_attributor_partitions_assigned", "Partitions that this process has.", nil, nil)
)

// Describe implements prometheus.Collector.
func (s *statuses) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descLagRecords, descLagSeconds, descStopped, descAssigned} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (s *statuses) Collect(ch chan<- prometheus.Metric) {
	stopped := 0
	lags := s.lags(time.Now())
	for _, l := range lags {
		partition := strconv.Itoa(l.Partition)
		ch <- prometheus.MustNewConstMetric(descLagRecords, prometheus.GaugeValue, float64(l.Records), partition)
		ch <- prometheus.MustNewConstMetric(descLagSeconds, prometheus.GaugeValue, l.Age.Seconds(), partition)
		if l.Stopped {
			stopped++
		}
	}
	ch <- prometheus.MustNewConstMetric(descStopped, prometheus.GaugeValue, float64(stopped))
	ch <- prometheus.MustNewConstMetric(descAssigned, prometheus.GaugeValue, float64(len(lags)))
}
