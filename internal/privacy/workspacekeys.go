package privacy

import (
	"crypto/rand"
	"fmt"
)

const workspaceKeyBytes = 32

// WorkspaceKeys are the keys of one workspace. They are made with it and never change.
type WorkspaceKeys struct {
	// Token encrypts click tokens (D6).
	Token []byte
	// HMAC hashes user keys (P1).
	HMAC []byte
	// Identity makes the identities of rows.
	Identity []byte
}

// NewWorkspaceKeys makes keys at random.
func NewWorkspaceKeys() WorkspaceKeys {
	b := make([]byte, 3*workspaceKeyBytes)
	_, _ = rand.Read(b) // never fails
	return splitKeys(b)
}

func splitKeys(b []byte) WorkspaceKeys {
	const n = workspaceKeyBytes
	return WorkspaceKeys{Token: b[:n:n], HMAC: b[n : 2*n : 2*n], Identity: b[2*n : 3*n : 3*n]}
}

// SealWorkspaceKeys encrypts the keys for the registry; they open for this workspace only.
func (m *MasterKey) SealWorkspaceKeys(workspace string, k WorkspaceKeys) []byte {
	plain := make([]byte, 0, 3*workspaceKeyBytes)
	plain = append(append(append(plain, k.Token...), k.HMAC...), k.Identity...)
	return m.Seal(plain, keysContext(workspace))
}

// OpenWorkspaceKeys is the inverse of SealWorkspaceKeys. It fails with ErrWrongMasterKey.
func (m *MasterKey) OpenWorkspaceKeys(workspace string, sealed []byte) (WorkspaceKeys, error) {
	plain, err := m.Open(sealed, keysContext(workspace))
	if err != nil {
		return WorkspaceKeys{}, fmt.Errorf("opening the keys of workspace %q: %w", workspace, err)
	}
	if len(plain) != 3*workspaceKeyBytes {
		return WorkspaceKeys{}, fmt.Errorf("opening the keys of workspace %q: %d bytes, expected %d", workspace, len(plain), 3*workspaceKeyBytes)
	}
	return splitKeys(plain), nil
}

func keysContext(workspace string) string { return "aftertouch/workspace-keys/v1/" + workspace }
