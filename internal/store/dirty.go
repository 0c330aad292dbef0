package store

import (
	"cmp"
	"math"
	"slices"

	"github.com/aftertouch-io/aftertouch/internal/attribution"
)

const (
	msPerHour    = 3_600_000
	secondsInDay = 86_400
)

// Numbers of dirty_hours.source.
const (
	markFacts    = 1
	markJourneys = 2
)

// mark is one hour whose derived figures must be made anew.
type mark struct {
	workspace string
	source    int8
	logDay    uint16
	// hour is the start of the hour in Unix seconds.
	hour int64
}

// dirtyHours buffers rows of table dirty_hours.
type dirtyHours struct {
	table

	workspace *words
	source    *numbers[int8]
	logDay    *numbers[uint16]
	hour      *numbers[int64]
	epoch     *numbers[uint16]
	partition *numbers[int32]
	next      *numbers[int64]
	version   *numbers[uint64]

	marks map[mark]struct{}
}

func newDirtyHours() *dirtyHours {
	d := &dirtyHours{table: table{name: "dirty_hours"}, marks: map[mark]struct{}{}}
	t := &d.table
	d.workspace, d.source, d.logDay, d.hour = t.word("workspace"), t.enum("source"), t.day("log_day"), t.seconds("hour")
	d.epoch, d.partition = t.uint16("epoch"), t.int32("partition")
	d.next, d.version = t.int64("next_offset"), t.uint64("version")
	return d
}

// collect marks the hours that the batch's rows are in, and those they were in before. It is computed anew from the batch
// each time, so a batch tried again leaves the same marks.
func (d *dirtyHours) collect(b *Batch) {
	clear(d.marks)
	for i := range b.Effects.Facts {
		d.fact(&b.Effects.Facts[i])
	}
	for i := range b.Effects.Journeys {
		d.journey(&b.Effects.Journeys[i])
	}
	marks := make([]mark, 0, len(d.marks))
	for m := range d.marks {
		marks = append(marks, m)
	}
	slices.SortFunc(marks, func(a, b mark) int {
		return cmp.Or(cmp.Compare(a.workspace, b.workspace), cmp.Compare(a.source, b.source),
			cmp.Compare(a.logDay, b.logDay), cmp.Compare(a.hour, b.hour))
	})
	for _, m := range marks {
		d.add(m, b)
	}
}

func (d *dirtyHours) fact(f *attribution.Fact) {
	m := mark{workspace: f.Entity.Workspace, source: markFacts, logDay: f.LogDay, hour: hourOf(f.Time)}
	d.marks[m] = struct{}{}
	if f.PreviousTime != 0 {
		m.hour = hourOf(f.PreviousTime)
		d.marks[m] = struct{}{}
	}
}

func (d *dirtyHours) journey(j *attribution.Journey) {
	d.journeyHour(j, j.Conversion.GetTime())
	if j.PreviousTime != 0 {
		d.journeyHour(j, j.PreviousTime)
	}
}

func (d *dirtyHours) journeyHour(j *attribution.Journey, ms int64) {
	hour := hourOf(ms)
	d.marks[mark{j.Order.Workspace, markJourneys, uint16(hour / secondsInDay), hour}] = struct{}{}
}

func (d *dirtyHours) add(m mark, b *Batch) {
	d.workspace.add(m.workspace)
	d.source.add(m.source)
	d.logDay.add(m.logDay)
	d.hour.add(m.hour)
	d.epoch.add(b.Epoch)
	d.partition.add(b.Partition)
	d.next.add(b.To)
	d.version.add(uint64(b.To))
	d.rows++
}

// hourOf returns the start of the hour of a Unix time in ms, in Unix seconds, within what DateTime holds: 1970 to 2106.
// Whoever reads the rows of an hour treats the first and the last one as open to the outside.
func hourOf(ms int64) int64 {
	const last = math.MaxUint32 / 3600 * 3600
	return min(max(ms/msPerHour*3600, 0), last)
}
