package store

import (
	"github.com/aftertouch-io/aftertouch/internal/attribution"
)

// identities buffers rows of table identities.
type identities struct {
	table

	workspace        *words
	fromHash, toHash *hashes
	version          *numbers[uint64]
	from, to         *texts
	fromKind, toKind *numbers[int8]
	fromPseudo       *flags
	cause            positionColumns
}

func newIdentities() *identities {
	i := &identities{table: table{name: "identities"}}
	t := &i.table
	i.workspace, i.fromHash, i.toHash = t.word("workspace"), t.hash("from_hash"), t.hash("to_hash")
	i.version, i.from, i.fromKind = t.uint64("version"), t.text("from_entity"), t.enum("from_kind")
	i.fromPseudo, i.to, i.toKind = t.flag("from_pseudo"), t.text("to_entity"), t.enum("to_kind")
	i.cause = t.position()
	return i
}

func (i *identities) add(x *attribution.Identity, id *identifier) {
	ws, from, to := x.From.Workspace, x.From.Local(), x.To.Local()
	i.workspace.add(ws)
	i.fromHash.add(id.entity(ws, from))
	i.toHash.add(id.entity(ws, to))
	i.version.add(firstVersion(x.Cause))
	i.from.add(from)
	i.fromKind.add(entityKind(x.From.Kind))
	i.fromPseudo.add(x.From.IsPseudo())
	i.to.add(to)
	i.toKind.add(entityKind(x.To.Kind))
	i.cause.add(x.Cause)
	i.rows++
	i.bytes += 80 + len(from) + len(to)
}

// refusals buffers rows of table refusals.
type refusals struct {
	table

	workspace              *words
	hour                   *numbers[int64]
	run                    *texts
	transport, reason, key *words
	version                *numbers[uint64]
	count                  *numbers[int64]
	cause                  positionColumns
}

func newRefusals() *refusals {
	r := &refusals{table: table{name: "refusals"}}
	t := &r.table
	r.workspace, r.hour, r.run = t.word("workspace"), t.seconds("hour"), t.text("run_id")
	r.transport, r.reason, r.key = t.word("transport"), t.word("reason"), t.word("key_id")
	r.version, r.count, r.cause = t.uint64("version"), t.int64("count"), t.position()
	return r
}

func (r *refusals) add(x *attribution.RefusalRow) {
	r.workspace.add(x.Workspace)
	r.hour.add(hourOf(x.Hour))
	r.run.add(x.RunID)
	r.transport.add(x.Transport)
	r.reason.add(x.Reason)
	r.key.add(x.KeyID)
	r.version.add(positionVersion(x.Cause))
	r.count.add(x.Count)
	r.cause.add(x.Cause)
	r.rows++
	r.bytes += 120
}

// progress buffers the one row of table progress that a batch ends with.
type progress struct {
	table

	epoch     *numbers[uint16]
	partition *numbers[int32]
	next      *numbers[int64]
	applied   *numbers[int64]
	version   *numbers[uint64]
}

func newProgress() *progress {
	p := &progress{table: table{name: "progress"}}
	t := &p.table
	p.epoch, p.partition, p.next = t.uint16("epoch"), t.int32("partition"), t.int64("next_offset")
	p.applied, p.version = t.millis("applied_time"), t.uint64("version")
	return p
}

func (p *progress) add(b *Batch) {
	p.epoch.add(b.Epoch)
	p.partition.add(b.Partition)
	p.next.add(b.To)
	p.applied.add(b.Timestamp)
	p.version.add(uint64(b.To))
	p.rows++
}
