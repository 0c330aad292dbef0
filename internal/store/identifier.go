package store

import (
	"fmt"

	"github.com/aftertouch-io/aftertouch/internal/privacy"
)

// identifier makes the hashes that identify rows. Batches are mostly of one workspace and consecutive rows of one entity,
// so it remembers the last key and the last entity.
type identifier struct {
	key       func(workspace string) []byte
	workspace string
	secret    []byte
	local     string
	hash      [16]byte
	// err is the first failure; hashes made after it are not to be used.
	err error
}

// entity returns the hash of an address within its workspace; all zero for the empty address.
func (id *identifier) entity(workspace, local string) [16]byte {
	if local == "" {
		return [16]byte{}
	}
	id.open(workspace)
	if id.local != local {
		id.local, id.hash = local, privacy.RowID(id.secret, local)
	}
	return id.hash
}

// event returns the hash of an event at an address.
func (id *identifier) event(workspace, local, eventID string) [16]byte {
	id.open(workspace)
	return privacy.RowID(id.secret, local, eventID)
}

func (id *identifier) open(workspace string) {
	if id.secret != nil && id.workspace == workspace {
		return
	}
	id.workspace, id.local, id.secret = workspace, "", id.key(workspace)
	if len(id.secret) == 0 && id.err == nil {
		id.err = fmt.Errorf("workspace %q has no identity key", workspace)
	}
}
