package registry

import (
	"context"
	"fmt"
	"slices"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/registry"
)

const maxOrigins = 100

// CreateKey makes a key and answers with it, the only time that it is shown. It cannot give scopes that the caller lacks.
func (s *Service) CreateKey(ctx context.Context, in *aftertouchv1.Key) (*aftertouchv1.Key, error) {
	key, snap, err := s.authorize(ctx, registry.ScopeWrite)
	if err != nil {
		return nil, err
	}
	t, err := s.newTarget(snap, key.Workspace, registry.KindKey, in.GetKeyId(), in)
	if err != nil {
		return nil, err
	}
	out, err := keyVersion(in, t)
	if err != nil {
		return nil, err
	}
	if !mayGive(key, out) {
		return nil, scopeError()
	}
	answer := out.CloneVT()
	err = s.finish(ctx, t, func(ctx context.Context) error {
		var err error
		answer.Key, err = s.store.CreateKey(ctx, key.Workspace, out, "", key.GetKeyId())
		return err
	})
	if err != nil {
		return nil, err
	}
	return answer, nil
}

// ChangeKey changes scopes, origins, name and rate limit, or revokes the key for good; then the other fields stay.
func (s *Service) ChangeKey(ctx context.Context, in *aftertouchv1.Key) (*aftertouchv1.Key, error) {
	key, snap, err := s.authorize(ctx, registry.ScopeWrite)
	if err != nil {
		return nil, err
	}
	t, err := s.nextTarget(snap, key.Workspace, registry.KindKey, in.GetKeyId(), in)
	if err != nil {
		return nil, err
	}
	before, err := find[*aftertouchv1.Key](snap, key.Workspace, registry.KindKey, t.id, 0)
	if err != nil {
		return nil, err
	}
	out, err := changedKey(before, in, t)
	if err != nil {
		return nil, err
	}
	if !mayGive(key, before) || !mayGive(key, out) {
		return nil, scopeError()
	}
	return out, s.write(ctx, key, t, &aftertouchv1.RegistryRecord{Object: &aftertouchv1.RegistryRecord_Key{Key: out}})
}

func changedKey(before, in *aftertouchv1.Key, t target) (*aftertouchv1.Key, error) {
	if before.Revoked {
		return nil, invalid("revoked", "is for good: make a new key")
	}
	if in.GetRevoked() {
		out := before.CloneVT()
		out.Version, out.ReplacesVersion, out.Revoked = t.version, in.GetReplacesVersion(), true
		return out, nil
	}
	if in.GetKind() != aftertouchv1.Key_unspecified && in.GetKind() != before.Kind {
		return nil, invalid("kind", "cannot be changed: make a new key")
	}
	with := in.CloneVT()
	with.Kind = before.Kind
	return keyVersion(with, t)
}

// mayGive reports whether the caller has every scope of the key.
func mayGive(caller *registry.Key, k *aftertouchv1.Key) bool {
	need, _ := registry.ParseScopes(k.Scopes)
	return caller.HasScope(need)
}

func keyVersion(in *aftertouchv1.Key, t target) (*aftertouchv1.Key, error) {
	o := in.CloneVT()
	o.KeyId, o.Version, o.Key = t.id, t.version, ""
	var c check
	c.id("key_id", o.KeyId)
	c.text("name", o.Name)
	if in.GetKey() != "" {
		c.fail("key", "is made, not taken")
	}
	if _, unknown := registry.ParseScopes(o.Scopes); unknown != "" {
		c.fail("scopes", fmt.Sprintf("has the unknown word %q; known are %v", unknown, registry.ScopeNames()))
	}
	slices.Sort(o.Scopes)
	o.Scopes = slices.Compact(o.Scopes)
	switch o.Kind {
	case aftertouchv1.Key_web:
		checkWebKey(&c, o)
	case aftertouchv1.Key_secret:
		if len(o.Scopes) == 0 {
			c.fail("scopes", fmt.Sprintf("needs at least one of %v", registry.ScopeNames()))
		}
		if len(o.Origins) > 0 {
			c.fail("origins", "are for web keys")
		}
	case aftertouchv1.Key_unspecified:
		c.fail("kind", "must be web or secret")
	default:
		c.fail("kind", "must be web or secret")
	}
	return o, c.err()
}

// checkWebKey sees to it that a public key may only collect, and from somewhere.
func checkWebKey(c *check, o *aftertouchv1.Key) {
	if len(o.Scopes) == 0 {
		o.Scopes = []string{"collect"}
	}
	if len(o.Scopes) != 1 || o.Scopes[0] != "collect" {
		c.fail("scopes", "of a web key, which is public, can only be collect")
	}
	if len(o.Origins) == 0 || len(o.Origins) > maxOrigins {
		c.fail("origins", fmt.Sprintf("needs 1 to %d patterns; * for all", maxOrigins))
	}
	for i, origin := range o.Origins {
		c.origin(fmt.Sprintf("origins[%d]", i), origin)
	}
}

// GetKey returns a version, without the key itself.
func (s *Service) GetKey(ctx context.Context, in *aftertouchv1.GetRequest) (*aftertouchv1.Key, error) {
	return get[*aftertouchv1.Key](ctx, s, registry.KindKey, in)
}

// ListKeys returns the newest versions, without the keys themselves.
func (s *Service) ListKeys(ctx context.Context, in *aftertouchv1.ListRequest) (*aftertouchv1.ListKeysResponse, error) {
	items, next, err := list[*aftertouchv1.Key](ctx, s, registry.KindKey, in)
	return &aftertouchv1.ListKeysResponse{Keys: items, NextPageToken: next}, err
}
