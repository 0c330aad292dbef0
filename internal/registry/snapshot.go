package registry

import (
	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/attribution"
	"github.com/aftertouch-io/aftertouch/internal/event"
	"github.com/aftertouch-io/aftertouch/internal/eventlog"
)

// Snapshot is the registry at one offset. It never changes, so that several reads of one agree. What it returns is shared: do
// not change it.
type Snapshot struct {
	offset     int64
	workspaces *table[string, history[*Workspace]]
	keys       *table[objectKey, history[*Key]]
	keysByHash *table[[32]byte, *Key]
	creators   *table[objectKey, history[*aftertouchv1.Creator]]
	campaigns  *table[objectKey, history[*aftertouchv1.Campaign]]
	agreements *table[objectKey, history[*agreement]]
	links      *table[string, history[*Link]]
	codes      *table[objectKey, history[*aftertouchv1.Code]]
	placements *table[objectKey, history[*aftertouchv1.Placement]]
	// ids of each kind in the order of creation.
	ids *table[listKey, []string]
	// fixed holds the campaigns that have an agreement.
	fixed  *table[objectKey, struct{}]
	epochs *table[string, history[eventlog.EpochInfo]]
	// epoch is the newest; Number 0 when there is none.
	epoch eventlog.EpochInfo
}

func emptySnapshot() *Snapshot {
	return &Snapshot{
		workspaces: &table[string, history[*Workspace]]{},
		keys:       &table[objectKey, history[*Key]]{},
		keysByHash: &table[[32]byte, *Key]{},
		creators:   &table[objectKey, history[*aftertouchv1.Creator]]{},
		campaigns:  &table[objectKey, history[*aftertouchv1.Campaign]]{},
		agreements: &table[objectKey, history[*agreement]]{},
		links:      &table[string, history[*Link]]{},
		codes:      &table[objectKey, history[*aftertouchv1.Code]]{},
		placements: &table[objectKey, history[*aftertouchv1.Placement]]{},
		ids:        &table[listKey, []string]{},
		fixed:      &table[objectKey, struct{}]{},
		epochs:     &table[string, history[eventlog.EpochInfo]]{},
	}
}

// Offset returns the offset of the first record that is not in the snapshot.
func (s *Snapshot) Offset() int64 { return s.offset }

// Workspace returns the newest version.
func (s *Snapshot) Workspace(id string) (*Workspace, bool) { return newest(s.workspaces, id) }

// Workspaces returns the number of workspaces.
func (s *Snapshot) Workspaces() int { return s.workspaces.size }

// KeyByHash returns the newest version of the key with the SHA-256, revoked or not.
func (s *Snapshot) KeyByHash(sum [32]byte) (*Key, bool) { return s.keysByHash.get(sum) }

// Key returns the newest version.
func (s *Snapshot) Key(workspace, id string) (*Key, bool) {
	return newest(s.keys, objectKey{workspace, id})
}

// Creator returns the newest version.
func (s *Snapshot) Creator(workspace, id string) (*aftertouchv1.Creator, bool) {
	return newest(s.creators, objectKey{workspace, id})
}

// Campaign returns the newest version.
func (s *Snapshot) Campaign(workspace, id string) (*aftertouchv1.Campaign, bool) {
	return newest(s.campaigns, objectKey{workspace, id})
}

// Link returns the newest version, whatever its workspace.
func (s *Snapshot) Link(id string) (*Link, bool) { return newest(s.links, id) }

// Code returns the newest version of a promo code, which is compared trimmed and upper-cased.
func (s *Snapshot) Code(workspace, code string) (*aftertouchv1.Code, bool) {
	return newest(s.codes, objectKey{workspace, event.NormalizeCode(code)})
}

// Placement returns the newest version.
func (s *Snapshot) Placement(workspace, id string) (*aftertouchv1.Placement, bool) {
	return newest(s.placements, objectKey{workspace, id})
}

// NewestAgreement returns the newest version, in force or not.
func (s *Snapshot) NewestAgreement(workspace, id string) (*aftertouchv1.Agreement, bool) {
	a, ok := newest(s.agreements, objectKey{workspace, id})
	if !ok {
		return nil, false
	}
	return a.Agreement, true
}

// TermsAt returns the terms of the agreement's version that is in force at the time, in Unix ms, and true. When none is,
// because the time is before version 1 or outside the campaign, it returns terms with version 0, still with campaign and
// creator, and false. It returns nil for an unknown agreement.
//
// In force is the highest version that has begun: a version replaces those before it, also one that had not begun yet.
func (s *Snapshot) TermsAt(workspace, agreementID string, timeMs int64) (t *aftertouchv1.Terms, inForce bool) {
	h, _ := s.agreements.get(objectKey{workspace, agreementID})
	if len(h) == 0 {
		return nil, false
	}
	first := h[0].value
	if timeMs >= first.start && timeMs < first.end {
		for i := len(h) - 1; i >= 0; i-- {
			if a := h[i].value; a.effectiveFrom <= timeMs {
				return a.terms, true
			}
		}
	}
	return &aftertouchv1.Terms{AgreementId: agreementID, CampaignId: first.CampaignId, CreatorId: first.CreatorId}, false
}

// Agreement returns what one version says about credit. It implements attribution.Terms.
func (s *Snapshot) Agreement(workspace, agreementID string, version uint32) (attribution.AgreementTerms, bool) {
	h, _ := s.agreements.get(objectKey{workspace, agreementID})
	a, ok := h.at(version)
	if !ok {
		return attribution.AgreementTerms{}, false
	}
	return a.attribution, true
}

// Epoch returns the newest epoch of the events topic; false before there is one.
func (s *Snapshot) Epoch() (eventlog.EpochInfo, bool) { return s.epoch, s.epoch.Number != 0 }

func newest[K comparable, V any](t *table[K, history[V]], k K) (V, bool) {
	h, _ := t.get(k)
	return h.newest()
}

var _ attribution.Terms = (*Snapshot)(nil)
