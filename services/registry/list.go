package registry

import (
	"context"
	"encoding/base64"

	"google.golang.org/protobuf/proto"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/registry"
)

const maxPage = 1000

// get returns a version of an object of the key's workspace.
func get[M proto.Message](ctx context.Context, s *Service, kind registry.Kind, in *aftertouchv1.GetRequest) (M, error) {
	var none M
	key, snap, err := s.authorize(ctx, registry.ScopeRead)
	if err != nil {
		return none, err
	}
	return find[M](snap, key.Workspace, kind, in.GetId(), in.GetVersion())
}

func find[M proto.Message](snap *registry.Snapshot, workspace string, kind registry.Kind, id string, version uint32) (M, error) {
	o, ok := snap.Object(workspace, kind, id, version)
	if !ok {
		var none M
		return none, notFound(kind, id)
	}
	return proto.CloneOf(o.(M)), nil
}

// list returns a page of the newest versions of the key's workspace.
func list[M proto.Message](ctx context.Context, s *Service, kind registry.Kind, in *aftertouchv1.ListRequest) ([]M, string, error) {
	key, snap, err := s.authorize(ctx, registry.ScopeRead)
	if err != nil {
		return nil, "", err
	}
	return page[M](snap, key.Workspace, kind, in)
}

func page[M proto.Message](snap *registry.Snapshot, workspace string, kind registry.Kind, in *aftertouchv1.ListRequest) ([]M, string, error) {
	after, err := base64.RawURLEncoding.DecodeString(in.GetPageToken())
	if err != nil {
		return nil, "", invalid("page_token", "is not one that a list returned")
	}
	size := int(in.GetPageSize())
	if size < 0 || size > maxPage {
		return nil, "", invalid("page_size", "must be 0 to 1000")
	}
	if size == 0 {
		size = maxPage
	}
	ids, more := snap.IDs(workspace, kind, string(after), size)
	out := make([]M, 0, len(ids))
	for _, id := range ids {
		owner := workspace
		if kind == registry.KindWorkspace {
			owner = id
		}
		m, err := find[M](snap, owner, kind, id, 0)
		if err != nil {
			return nil, "", err
		}
		out = append(out, m)
	}
	if !more {
		return out, "", nil
	}
	return out, base64.RawURLEncoding.EncodeToString([]byte(ids[len(ids)-1])), nil
}
