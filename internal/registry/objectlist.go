package registry

import (
	"slices"

	"google.golang.org/protobuf/proto"
)

// Object returns a version of an object as its message, 0 for the newest. The message is shared: do not change it.
func (s *Snapshot) Object(workspace string, kind Kind, id string, version uint32) (proto.Message, bool) {
	object := objectKey{workspace, id}
	switch kind {
	case KindWorkspace:
		if w, ok := versionOf(s.workspaces, id, version); ok {
			return w.Workspace, true
		}
	case KindKey:
		if k, ok := versionOf(s.keys, object, version); ok {
			return k.Key, true
		}
	case KindAgreement:
		if a, ok := versionOf(s.agreements, object, version); ok {
			return a.Agreement, true
		}
	case KindLink:
		if l, ok := versionOf(s.links, id, version); ok && l.Workspace == workspace {
			return l.Link, true
		}
	case KindCreator:
		return message(versionOf(s.creators, object, version))
	case KindCampaign:
		return message(versionOf(s.campaigns, object, version))
	case KindCode:
		return message(versionOf(s.codes, object, version))
	case KindPlacement:
		return message(versionOf(s.placements, object, version))
	case KindEpoch:
	}
	return nil, false
}

func versionOf[K comparable, V any](t *table[K, history[V]], k K, n uint32) (V, bool) {
	h, _ := t.get(k)
	if n == 0 {
		return h.newest()
	}
	return h.at(n)
}

func message[M proto.Message](m M, ok bool) (proto.Message, bool) {
	if !ok {
		return nil, false
	}
	return m, true
}

// IDs returns up to limit ids of a kind after the given one, in their order, and whether there are more. Workspaces are
// listed under the workspace "".
func (s *Snapshot) IDs(workspace string, kind Kind, after string, limit int) (ids []string, more bool) {
	if kind == KindWorkspace {
		workspace = installation
	}
	all, _ := s.ids.get(listKey{workspace, kind})
	for _, id := range all {
		if id > after {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	if len(ids) > limit {
		return ids[:limit:limit], true
	}
	return ids, false
}

// FirstWorkspace returns the workspace that the installation began with; its admin keys govern the others. It is "" before
// there is one.
func (s *Snapshot) FirstWorkspace() string {
	if all, _ := s.ids.get(listKey{installation, KindWorkspace}); len(all) > 0 {
		return all[0]
	}
	return ""
}

// HasAgreement reports whether a campaign has an agreement, which fixes its terms.
func (s *Snapshot) HasAgreement(workspace, campaignID string) bool {
	_, ok := s.fixed.get(objectKey{workspace, campaignID})
	return ok
}
