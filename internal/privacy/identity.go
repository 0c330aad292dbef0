package privacy

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"sync"
)

// HashUserKey returns what is kept of a site's customer key (P1): 32 hexadecimal digits of its HMAC-SHA-256.
func HashUserKey(hmacKey []byte, userKey string) string {
	h := hmac.New(sha256.New, hmacKey)
	h.Write([]byte(userKey))
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// RowID returns the identity of a row: the first 16 bytes of the HMAC-SHA-256 of the parts, each after its length as an
// unsigned varint, under a workspace's identity key of at most 64 bytes. It is safe for concurrent use.
func RowID(identityKey []byte, parts ...string) (id [16]byte) {
	s := rowHashes.Get().(*rowHash)
	if !bytes.Equal(s.key, identityKey) {
		s.setKey(identityKey)
	}
	buf := s.buf[:0]
	for _, p := range parts {
		buf = binary.AppendUvarint(buf, uint64(len(p)))
		buf = append(buf, p...)
	}
	inner := s.sum(s.inner, buf)
	outer := s.sum(s.outer, inner)
	copy(id[:], outer)
	s.buf = buf
	rowHashes.Put(s)
	return id
}

var rowHashes = sync.Pool{New: func() any { return newRowHash() }}

// rowHash is an HMAC that keeps the states of its hash after the padded key, for the key that it was used with last: that
// halves the work of a short message, and crypto/hmac allocates.
type rowHash struct {
	hash    hash.Hash
	restore encoding.BinaryUnmarshaler
	key     []byte
	inner   []byte // state after the key and the inner pad
	outer   []byte
	buf     []byte
	out     [sha256.Size]byte
}

func newRowHash() *rowHash {
	h := sha256.New()
	return &rowHash{hash: h, restore: h.(encoding.BinaryUnmarshaler), key: []byte{}, inner: padState(nil, 0x36), outer: padState(nil, 0x5c)}
}

func (s *rowHash) setKey(key []byte) {
	s.key = append(s.key[:0], key...)
	s.inner, s.outer = padState(key, 0x36), padState(key, 0x5c)
}

func padState(key []byte, pad byte) []byte {
	if len(key) > sha256.BlockSize {
		panic(fmt.Sprintf("BUG: an identity key of %d bytes", len(key)))
	}
	var block [sha256.BlockSize]byte
	copy(block[:], key)
	for i := range block {
		block[i] ^= pad
	}
	h := sha256.New()
	h.Write(block[:])
	state, err := h.(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil {
		panic("BUG: SHA-256 does not give its state: " + err.Error())
	}
	return state
}

func (s *rowHash) sum(state, data []byte) []byte {
	if err := s.restore.UnmarshalBinary(state); err != nil {
		panic("BUG: SHA-256 does not take its own state: " + err.Error())
	}
	s.hash.Write(data)
	return s.hash.Sum(s.out[:0])
}
