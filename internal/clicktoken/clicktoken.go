// Package clicktoken makes and opens the click ids that the redirect adds to landing addresses (parameter at_click).
//
// A token is what one click was: encrypted and authenticated under the workspace's token key, so that only collectors
// read it and nobody makes one. It holds no personal data but, when the redirect knew one, the visitor id.
package clicktoken

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
)

// KeySize is the length of a workspace's token key in bytes (AES-256).
const KeySize = 32

// MaxLen is the longest token that Open looks at, in characters. A sealed token is longer only when its ids are over
// their own limits.
const MaxLen = 768

// ErrInvalid reports a token that was not made by this workspace's key, or that was changed on the way.
var ErrInvalid = errors.New("invalid click token")

// version is the first byte of every token, outside the encryption but authenticated.
const version = 1

// Click is what a token says.
type Click struct {
	// EventID is the id of the click event that the redirect wrote.
	EventID string
	// LinkID is the registered link.
	LinkID string
	// Time of the click, Unix ms.
	Time int64
	// AgreementVersion that was in force at Time; 0 when none was.
	AgreementVersion uint32
	// VisitorID is the visitor that the redirect knew; empty when it knew none.
	VisitorID string
}

// Sealer makes and opens the tokens of one workspace. It is safe for concurrent use.
type Sealer struct {
	aead cipher.AEAD
	// context is authenticated with every token: a token of another workspace does not open, even under the same key.
	context []byte
}

// NewSealer returns the sealer of a workspace. The key has KeySize bytes.
func NewSealer(workspace string, key []byte) (*Sealer, error) {
	if len(key) != KeySize {
		return nil, fmt.Errorf("making token sealer: key has %d bytes, need %d", len(key), KeySize)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("making token sealer: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("making token sealer: %w", err)
	}
	return &Sealer{aead: aead, context: append([]byte{version}, workspace...)}, nil
}

// Seal returns the token of a click: base64url without padding, safe in a query parameter.
func (s *Sealer) Seal(c Click) string {
	plain := make([]byte, 0, 32+len(c.EventID)+len(c.LinkID)+len(c.VisitorID))
	plain = binary.AppendVarint(plain, c.Time)
	plain = binary.AppendUvarint(plain, uint64(c.AgreementVersion))
	plain = appendString(plain, c.EventID)
	plain = appendString(plain, c.LinkID)
	plain = append(plain, c.VisitorID...)

	token := make([]byte, 1, 1+len(plain)+s.aead.Overhead())
	token[0] = version
	return base64.RawURLEncoding.EncodeToString(s.aead.Seal(token, nil, plain, s.context))
}

// Open returns what a token says. It fails with ErrInvalid.
func (s *Sealer) Open(token string) (Click, error) {
	if len(token) > MaxLen {
		return Click{}, fmt.Errorf("%w: %d characters", ErrInvalid, len(token))
	}
	// Strict: a token has one spelling, so that trailing bits cannot make two of it.
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil {
		return Click{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if len(raw) == 0 || raw[0] != version {
		return Click{}, fmt.Errorf("%w: unknown version", ErrInvalid)
	}
	plain, err := s.aead.Open(nil, nil, raw[1:], s.context)
	if err != nil {
		return Click{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return parse(plain)
}

func parse(plain []byte) (Click, error) {
	var c Click
	var n int
	if c.Time, n = binary.Varint(plain); n <= 0 {
		return Click{}, fmt.Errorf("%w: no time", ErrInvalid)
	}
	plain = plain[n:]
	agreementVersion, n := binary.Uvarint(plain)
	if n <= 0 || agreementVersion > 1<<32-1 {
		return Click{}, fmt.Errorf("%w: no agreement version", ErrInvalid)
	}
	c.AgreementVersion, plain = uint32(agreementVersion), plain[n:]
	var ok bool
	if c.EventID, plain, ok = cutString(plain); !ok {
		return Click{}, fmt.Errorf("%w: no event id", ErrInvalid)
	}
	if c.LinkID, plain, ok = cutString(plain); !ok {
		return Click{}, fmt.Errorf("%w: no link id", ErrInvalid)
	}
	c.VisitorID = string(plain)
	return c, nil
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func cutString(b []byte) (s string, rest []byte, ok bool) {
	size, n := binary.Uvarint(b)
	if n <= 0 || size > uint64(len(b)-n) {
		return "", nil, false
	}
	return string(b[n : n+int(size)]), b[n+int(size):], true
}
