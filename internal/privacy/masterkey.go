package privacy

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const masterKeyBytes = 32

// ErrWrongMasterKey reports something that was sealed under another master key, or was changed since.
var ErrWrongMasterKey = errors.New("wrong master key")

// MasterKey seals the workspaces' keys with AES-256-GCM. It is safe for concurrent use.
type MasterKey struct{ aead cipher.AEAD }

// NewMasterKey makes a master key of 32 bytes.
func NewMasterKey(key []byte) (*MasterKey, error) {
	if len(key) != masterKeyBytes {
		return nil, fmt.Errorf("master key: %d bytes, expected %d", len(key), masterKeyBytes)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("making master key: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("making master key: %w", err)
	}
	return &MasterKey{aead}, nil
}

// ReadMasterKey reads a master key from a file of 64 hexadecimal digits.
func ReadMasterKey(path string) (*MasterKey, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading master key: %w", err)
	}
	key, err := hex.DecodeString(string(bytes.TrimSpace(text)))
	if err != nil || len(key) != masterKeyBytes {
		return nil, fmt.Errorf("reading master key %s: the file must hold %d hexadecimal digits; make one with: openssl rand -hex 32", path, 2*masterKeyBytes)
	}
	return NewMasterKey(key)
}

// ReadOrMakeMasterKey reads the file, or makes it, once, with mode 0600 when it does not exist.
func ReadOrMakeMasterKey(path string) (*MasterKey, error) {
	m, err := ReadMasterKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return m, err
	}
	key := make([]byte, masterKeyBytes)
	_, _ = rand.Read(key) // never fails
	if err := writeOnce(path, hex.AppendEncode(nil, key)); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("making master key: %w", err)
	}
	// Read what is there: another process may have been first.
	return ReadMasterKey(path)
}

// writeOnce makes the file durable before it gets its name, and never replaces one.
func writeOnce(path string, content []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".master-key-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.Write(append(content, '\n'))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Seal encrypts and authenticates plain, bound to the context that it must be opened in.
func (m *MasterKey) Seal(plain []byte, context string) []byte {
	return m.aead.Seal(nil, nil, plain, []byte(context))
}

// Open is the inverse of Seal. It fails with ErrWrongMasterKey.
func (m *MasterKey) Open(sealed []byte, context string) ([]byte, error) {
	plain, err := m.aead.Open(nil, nil, sealed, []byte(context))
	if err != nil {
		return nil, ErrWrongMasterKey
	}
	return plain, nil
}
