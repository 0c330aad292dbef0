package registry

import (
	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/attribution"
)

// Workspace is the newest version of a workspace with its opened keys. It is shared: do not change it.
type Workspace struct {
	*aftertouchv1.Workspace
	// TokenKey encrypts click tokens, HMACKey hashes user keys, IdentityKey makes the identities of rows.
	TokenKey, HMACKey, IdentityKey []byte

	sealed []byte
}

// Key is the newest version of an API key. It is shared: do not change it.
type Key struct {
	*aftertouchv1.Key
	Workspace string
	// Hash is the SHA-256 of the key.
	Hash [32]byte

	scopes Scope
}

// Link is the newest version of a link. It is shared: do not change it.
type Link struct {
	*aftertouchv1.Link
	Workspace string
}

// agreement is one version with what is derived from it and its campaign, whose fields are fixed by then.
type agreement struct {
	*aftertouchv1.Agreement
	terms         *aftertouchv1.Terms // names this version
	attribution   attribution.AgreementTerms
	effectiveFrom int64 // Unix ms
	start, end    int64 // of the campaign, Unix ms
}

// version is one version of an object with what its record says beside it.
type version[V any] struct {
	value   V
	writeID string
	written int64 // Unix ms
}

// history is all versions of an object: version n at n-1. Histories share their memory; only the newest may be appended to.
type history[V any] []version[V]

func (h history[V]) newest() (v V, ok bool) {
	if len(h) == 0 {
		return v, false
	}
	return h[len(h)-1].value, true
}

func (h history[V]) at(n uint32) (v V, ok bool) {
	if n == 0 || uint64(n) > uint64(len(h)) {
		return v, false
	}
	return h[n-1].value, true
}

// objectKey names an object of a workspace.
type objectKey struct{ workspace, id string }

// listKey names the ids of one kind in a workspace.
type listKey struct {
	workspace string
	kind      Kind
}
