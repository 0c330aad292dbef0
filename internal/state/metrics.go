package state

import (
	"errors"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	reg       prometheus.Registerer
	all       []prometheus.Collector
	errors    prometheus.Counter
	damaged   prometheus.Counter
	stalls    prometheus.Counter
	swept     prometheus.Counter
	snapshots *prometheus.CounterVec
	restores  *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer, d *Dir) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "aftertouch_state_" + name, Help: help})
	}
	vec := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "aftertouch_state_" + name, Help: help}, []string{"result"})
	}
	m := &metrics{
		reg:       reg,
		errors:    counter("errors_total", "Errors of the state engine in the background."),
		damaged:   counter("damaged_total", "Stores whose content was found damaged."),
		stalls:    counter("write_stalls_total", "Times that the state engine made writers wait."),
		swept:     counter("swept_entities_total", "Entities removed because the horizon has passed them."),
		snapshots: vec("snapshots_total", "Snapshots taken, by result."),
		restores:  vec("restores_total", "Snapshots looked at for a restore, by result."),
	}
	m.all = []prometheus.Collector{m.errors, m.damaged, m.stalls, m.swept, m.snapshots, m.restores, &engineCollector{dir: d}}
	var errs []error
	for _, c := range m.all {
		errs = append(errs, reg.Register(c))
	}
	return m, errors.Join(errs...)
}

func (m *metrics) unregister() {
	for _, c := range m.all {
		m.reg.Unregister(c)
	}
}

var (
	descDisk = prometheus.NewDesc("aftertouch_state_disk_bytes", "Disk space of a partition's store.", []string{"partition"}, nil)
	descDebt = prometheus.NewDesc("aftertouch_state_compaction_debt_bytes", "Bytes that compactions have still to move.", []string{"partition"}, nil)
	descMem  = prometheus.NewDesc("aftertouch_state_memtable_bytes", "Memory of a partition's in-memory tables.", []string{"partition"}, nil)
	descHits = prometheus.NewDesc("aftertouch_state_cache_hits_total", "Blocks found in the shared cache.", nil, nil)
	descMiss = prometheus.NewDesc("aftertouch_state_cache_misses_total", "Blocks not found in the shared cache.", nil, nil)
)

// engineCollector reads the engine's own figures when they are asked for.
type engineCollector struct{ dir *Dir }

// Describe implements prometheus.Collector.
func (c *engineCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descDisk, descDebt, descMem, descHits, descMiss} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *engineCollector) Collect(ch chan<- prometheus.Metric) {
	c.dir.mu.Lock()
	defer c.dir.mu.Unlock()
	hits, misses := int64(0), int64(0)
	for s := range c.dir.open {
		m := s.db.Metrics()
		partition := strconv.Itoa(int(s.partition))
		gauge := func(d *prometheus.Desc, v float64) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, partition)
		}
		gauge(descDisk, float64(m.DiskSpaceUsage()))
		gauge(descDebt, float64(m.Compact.EstimatedDebt))
		gauge(descMem, float64(m.MemTable.Size))
		// The cache is shared: every store reports the same figures.
		hits, misses = m.BlockCache.Hits, m.BlockCache.Misses
	}
	ch <- prometheus.MustNewConstMetric(descHits, prometheus.CounterValue, float64(hits))
	ch <- prometheus.MustNewConstMetric(descMiss, prometheus.CounterValue, float64(misses))
}
