package registry

import (
	"errors"
	"fmt"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/eventlog"
	"github.com/aftertouch-io/aftertouch/internal/privacy"
	"google.golang.org/protobuf/proto"
)

// errIgnored reports a record that is not valid given the ones before it; everybody ignores it.
var errIgnored = errors.New("record ignored")

// batch makes the next snapshot from a number of records.
type batch struct {
	master     *privacy.MasterKey
	workspaces *editor[string, history[*Workspace]]
	keys       *editor[objectKey, history[*Key]]
	keysByHash *editor[[32]byte, *Key]
	creators   *editor[objectKey, history[*aftertouchv1.Creator]]
	campaigns  *editor[objectKey, history[*aftertouchv1.Campaign]]
	agreements *editor[objectKey, history[*agreement]]
	links      *editor[string, history[*Link]]
	codes      *editor[objectKey, history[*aftertouchv1.Code]]
	placements *editor[objectKey, history[*aftertouchv1.Placement]]
	ids        *editor[listKey, []string]
	fixed      *editor[objectKey, struct{}]
	epochs     *editor[string, history[eventlog.EpochInfo]]
	epoch      eventlog.EpochInfo
}

func newBatch(s *Snapshot, master *privacy.MasterKey) *batch {
	return &batch{
		master:     master,
		workspaces: edit(s.workspaces), keys: edit(s.keys), keysByHash: edit(s.keysByHash), creators: edit(s.creators),
		campaigns: edit(s.campaigns), agreements: edit(s.agreements), links: edit(s.links), codes: edit(s.codes),
		placements: edit(s.placements), ids: edit(s.ids), fixed: edit(s.fixed), epochs: edit(s.epochs), epoch: s.epoch,
	}
}

func (b *batch) snapshot(offset int64) *Snapshot {
	return &Snapshot{
		offset:     offset,
		workspaces: b.workspaces.result(), keys: b.keys.result(), keysByHash: b.keysByHash.result(), creators: b.creators.result(),
		campaigns: b.campaigns.result(), agreements: b.agreements.result(), links: b.links.result(), codes: b.codes.result(),
		placements: b.placements.result(), ids: b.ids.result(), fixed: b.fixed.result(), epochs: b.epochs.result(), epoch: b.epoch,
	}
}

// apply applies one record. It fails with errIgnored, which changes nothing, or with privacy.ErrWrongMasterKey.
func (b *batch) apply(key, value []byte) error {
	k, err := parseRecordKey(string(key))
	if err != nil {
		return fmt.Errorf("%w: %w", errIgnored, err)
	}
	r := &aftertouchv1.RegistryRecord{}
	if err := r.UnmarshalVT(value); err != nil {
		return fmt.Errorf("%w: decoding %s: %w", errIgnored, k, err)
	}
	if named, err := keyOf(k.Workspace, r); err != nil || named != k {
		return fmt.Errorf("%w: content of %s belongs under %s", errIgnored, k, named)
	}
	if _, ok := b.workspaces.get(k.Workspace); !ok && k.Kind != KindWorkspace && k.Kind != KindEpoch {
		return fmt.Errorf("%w: %s is of an unknown workspace", errIgnored, k)
	}
	return b.applyObject(k, r)
}

func (b *batch) applyObject(k RecordKey, r *aftertouchv1.RegistryRecord) error {
	object := objectKey{k.Workspace, k.ID}
	switch o := r.Object.(type) {
	case *aftertouchv1.RegistryRecord_Workspace:
		return b.applyWorkspace(k, r, o.Workspace)
	case *aftertouchv1.RegistryRecord_Key:
		return b.applyKey(k, r, o.Key)
	case *aftertouchv1.RegistryRecord_Creator:
		return put(b, b.creators, object, k, r, o.Creator)
	case *aftertouchv1.RegistryRecord_Campaign:
		return b.applyCampaign(k, r, o.Campaign)
	case *aftertouchv1.RegistryRecord_Agreement:
		return b.applyAgreement(k, r, o.Agreement)
	case *aftertouchv1.RegistryRecord_Link:
		return b.applyLink(k, r, o.Link)
	case *aftertouchv1.RegistryRecord_Code:
		return put(b, b.codes, object, k, r, o.Code)
	case *aftertouchv1.RegistryRecord_Placement:
		return put(b, b.placements, object, k, r, o.Placement)
	case *aftertouchv1.RegistryRecord_Epoch:
		return b.applyEpoch(k, r, o.Epoch)
	default:
		return fmt.Errorf("%w: %s has no object", errIgnored, k)
	}
}

// put appends a version: it must be the one after the newest, so the first record of a version wins.
func put[K comparable, V any](b *batch, e *editor[K, history[V]], at K, k RecordKey, r *aftertouchv1.RegistryRecord, value V) error {
	h, _ := e.get(at)
	if uint64(k.Version) != uint64(len(h))+1 {
		return fmt.Errorf("%w: %s, version %d is the newest", errIgnored, k, len(h))
	}
	written := r.GetWrittenTime().AsTime().UnixMilli()
	e.set(at, append(h, version[V]{value: value, writeID: r.GetWriteId(), written: written}))
	if k.Version == 1 {
		list := listKey{k.Workspace, k.Kind}
		if k.Kind == KindWorkspace {
			list.workspace = installation
		}
		ids, _ := b.ids.get(list)
		b.ids.set(list, append(ids, k.ID))
	}
	return nil
}

func (b *batch) applyWorkspace(k RecordKey, r *aftertouchv1.RegistryRecord, o *aftertouchv1.Workspace) error {
	w := &Workspace{Workspace: o, sealed: r.GetSealedKeys()}
	if h, _ := b.workspaces.get(k.ID); len(h) > 0 {
		// A workspace's keys never change, whatever a later version says.
		first := h[0].value
		w.TokenKey, w.HMACKey, w.IdentityKey, w.sealed = first.TokenKey, first.HMACKey, first.IdentityKey, first.sealed
		return put(b, b.workspaces, k.ID, k, r, w)
	}
	keys, err := b.master.OpenWorkspaceKeys(k.ID, w.sealed)
	if err != nil {
		return err
	}
	w.TokenKey, w.HMACKey, w.IdentityKey = keys.Token, keys.HMAC, keys.Identity
	return put(b, b.workspaces, k.ID, k, r, w)
}

func (b *batch) applyKey(k RecordKey, r *aftertouchv1.RegistryRecord, o *aftertouchv1.Key) error {
	key := &Key{Key: o, Workspace: k.Workspace, scopes: scopesOf(o)}
	if h, _ := b.keys.get(objectKey{k.Workspace, k.ID}); len(h) > 0 {
		key.Hash = h[0].value.Hash
	} else {
		if copy(key.Hash[:], r.GetKeyHash()) != len(key.Hash) {
			return fmt.Errorf("%w: %s has no hash", errIgnored, k)
		}
		if _, taken := b.keysByHash.get(key.Hash); taken {
			return fmt.Errorf("%w: %s has the hash of another key", errIgnored, k)
		}
	}
	if err := put(b, b.keys, objectKey{k.Workspace, k.ID}, k, r, key); err != nil {
		return err
	}
	b.keysByHash.set(key.Hash, key)
	return nil
}

func (b *batch) applyCampaign(k RecordKey, r *aftertouchv1.RegistryRecord, o *aftertouchv1.Campaign) error {
	object := objectKey{k.Workspace, k.ID}
	if _, fixed := b.fixed.get(object); fixed {
		if h, _ := b.campaigns.get(object); len(h) > 0 && !SameTerms(h[len(h)-1].value, o) {
			return fmt.Errorf("%w: %s has an agreement and is fixed", errIgnored, k)
		}
	}
	return put(b, b.campaigns, object, k, r, o)
}

// SameTerms reports whether two versions of a campaign differ in nothing but the name.
func SameTerms(a, b *aftertouchv1.Campaign) bool {
	x, y := a.CloneVT(), b.CloneVT()
	for _, c := range []*aftertouchv1.Campaign{x, y} {
		c.Name, c.Version, c.ReplacesVersion = "", 0, 0
	}
	return proto.Equal(x, y)
}

func (b *batch) applyAgreement(k RecordKey, r *aftertouchv1.RegistryRecord, o *aftertouchv1.Agreement) error {
	campaign := objectKey{k.Workspace, o.GetCampaignId()}
	h, _ := b.campaigns.get(campaign)
	c, ok := h.newest()
	if !ok {
		return fmt.Errorf("%w: %s is of an unknown campaign", errIgnored, k)
	}
	if err := put(b, b.agreements, objectKey{k.Workspace, k.ID}, k, r, newAgreement(o, c)); err != nil {
		return err
	}
	b.fixed.set(campaign, struct{}{})
	return nil
}

func (b *batch) applyLink(k RecordKey, r *aftertouchv1.RegistryRecord, o *aftertouchv1.Link) error {
	if h, _ := b.links.get(k.ID); len(h) > 0 && h[0].value.Workspace != k.Workspace {
		return fmt.Errorf("%w: %s is a link of another workspace", errIgnored, k)
	}
	return put(b, b.links, k.ID, k, r, &Link{Link: o, Workspace: k.Workspace})
}

func (b *batch) applyEpoch(k RecordKey, r *aftertouchv1.RegistryRecord, o *aftertouchv1.Epoch) error {
	if o.GetNumber() == 0 || o.GetNumber() > 1<<16-1 || o.GetTopic() == "" || o.GetPartitions() < 1 || o.GetEpochId() == "" {
		return fmt.Errorf("%w: %s is incomplete", errIgnored, k)
	}
	e := eventlog.EpochInfo{Number: uint16(o.GetNumber()), Topic: o.GetTopic(), Partitions: int(o.GetPartitions()), ID: o.GetEpochId()}
	if err := put(b, b.epochs, k.ID, k, r, e); err != nil {
		return err
	}
	if e.Number > b.epoch.Number {
		b.epoch = e
	}
	return nil
}
