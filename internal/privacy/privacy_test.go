package privacy

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func testMaster(t *testing.T, fill byte) *MasterKey {
	t.Helper()
	m, err := NewMasterKey(bytes.Repeat([]byte{fill}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestSealedKeysOpenOnlyUnderTheirMasterKeyAndWorkspace(t *testing.T) {
	a, b := testMaster(t, 1), testMaster(t, 2)
	keys := NewWorkspaceKeys()
	sealed := a.SealWorkspaceKeys("shop", keys)
	opened, err := a.OpenWorkspaceKeys("shop", sealed)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(opened.Token, keys.Token) || !bytes.Equal(opened.HMAC, keys.HMAC) || !bytes.Equal(opened.Identity, keys.Identity) {
		t.Error("opened keys differ")
	}
	if bytes.Contains(sealed, keys.HMAC) {
		t.Error("sealed keys are readable")
	}
	changed := bytes.Clone(sealed)
	changed[len(changed)-1] ^= 1
	for name, open := range map[string]func() (WorkspaceKeys, error){
		"another master key": func() (WorkspaceKeys, error) { return b.OpenWorkspaceKeys("shop", sealed) },
		"another workspace":  func() (WorkspaceKeys, error) { return a.OpenWorkspaceKeys("shop2", sealed) },
		"changed":            func() (WorkspaceKeys, error) { return a.OpenWorkspaceKeys("shop", changed) },
		"empty":              func() (WorkspaceKeys, error) { return a.OpenWorkspaceKeys("shop", nil) },
	} {
		if _, err := open(); !errors.Is(err, ErrWrongMasterKey) {
			t.Errorf("%s: %v, want ErrWrongMasterKey", name, err)
		}
	}
}

func TestMasterKeyFileIsMadeOnceAndPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data", "master.key")
	sealed := make([][]byte, 8)
	masters := make([]*MasterKey, 8)
	var wg sync.WaitGroup
	for i := range sealed {
		wg.Go(func() {
			m, err := ReadOrMakeMasterKey(path)
			if err != nil {
				t.Error(err)
				return
			}
			masters[i], sealed[i] = m, m.Seal([]byte("secret"), "x")
		})
	}
	wg.Wait()
	for i, m := range masters {
		if _, err := m.Open(sealed[(i+1)%8], "x"); err != nil {
			t.Errorf("concurrent makers disagree: %v", err)
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want 0600", info.Mode().Perm())
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".master-key-*")); len(left) > 0 {
		t.Errorf("temporary files left: %v", left)
	}
}

func TestBadMasterKeyFileIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "master.key")
	for _, content := range []string{"", "abc", strings.Repeat("g", 64), strings.Repeat("a", 66)} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadOrMakeMasterKey(path); err == nil || !strings.Contains(err.Error(), "openssl rand -hex 32") {
			t.Errorf("%q: %v, want an error with a remedy", content, err)
		}
	}
}

func TestHashUserKeyIsHMAC(t *testing.T) {
	// RFC 4231, test case 2.
	got := HashUserKey([]byte("Jefe"), "what do ya want for nothing?")
	if want := "5bdcc146bf60754e6a042426089575c7"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestRowIDIsHMACOfLengthPrefixedParts(t *testing.T) {
	key := bytes.Repeat([]byte{7}, 32)
	for _, parts := range [][]string{{}, {""}, {"v:abc"}, {"v:abc", "e1"}, {"v:ab", "ce1"}, {strings.Repeat("x", 5000), "y"}} {
		h := hmac.New(sha256.New, key)
		for _, p := range parts {
			h.Write(binary.AppendUvarint(nil, uint64(len(p))))
			h.Write([]byte(p))
		}
		if got := RowID(key, parts...); !bytes.Equal(got[:], h.Sum(nil)[:16]) {
			t.Errorf("RowID of %d parts is not the HMAC", len(parts))
		}
	}
	if RowID(bytes.Repeat([]byte{8}, 32), "v:abc", "e1") == RowID(key, "v:abc", "e1") {
		t.Error("another key gives the same identity")
	}
	if RowID(key, "v:abc", "e1") == RowID(key, "v:ab", "ce1") {
		t.Error("moving a boundary keeps the identity")
	}
}

func TestAPIKeys(t *testing.T) {
	a, b := NewAPIKey(WebKeyPrefix), NewAPIKey(WebKeyPrefix)
	if a == b || !strings.HasPrefix(a, "atw_") || len(a) != 36 {
		t.Errorf("made %q and %q", a, b)
	}
	if err := CheckAPIKey(a); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"", "short", "with space in it 1234", "ünprintable-0123456789", strings.Repeat("a", 129)} {
		if err := CheckAPIKey(bad); !errors.Is(err, ErrWeakKey) {
			t.Errorf("%q: %v, want ErrWeakKey", bad, err)
		}
	}
}

func BenchmarkRowID(b *testing.B) {
	key := bytes.Repeat([]byte{7}, 32)
	b.ReportAllocs()
	for b.Loop() {
		_ = RowID(key, "v:0123456789abcdef", "event-0123456789")
	}
}
