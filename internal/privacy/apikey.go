package privacy

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
)

// Prefixes of API keys, so that people and secret scanners recognise them.
const (
	WebKeyPrefix    = "atw_"
	SecretKeyPrefix = "ats_"
)

// ErrWeakKey reports an API key that is too short or not printable.
var ErrWeakKey = errors.New("an API key has 16 to 128 printable ASCII characters without spaces")

// NewAPIKey makes an API key of 192 random bits.
func NewAPIKey(prefix string) string {
	var b [24]byte
	_, _ = rand.Read(b[:]) // never fails
	return prefix + base64.RawURLEncoding.EncodeToString(b[:])
}

// CheckAPIKey refuses keys that were given and are no good. It fails with ErrWeakKey.
func CheckAPIKey(key string) error {
	if len(key) < 16 || len(key) > 128 {
		return ErrWeakKey
	}
	for i := range len(key) {
		if key[i] <= ' ' || key[i] > '~' {
			return ErrWeakKey
		}
	}
	return nil
}

// HashAPIKey returns what is stored of an API key. Keys are random, so a plain hash does.
func HashAPIKey(key string) [sha256.Size]byte { return sha256.Sum256([]byte(key)) }
