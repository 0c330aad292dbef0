package clicktoken

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var sample = Click{EventID: "Zk9xw0H1RkKj3mM0c0hXyA", LinkID: "anna-spring", Time: 1_772_000_000_123, AgreementVersion: 3, VisitorID: "v-81f2"}

func newSealer(t testing.TB, workspace string, fill byte) *Sealer {
	t.Helper()
	s, err := NewSealer(workspace, bytes.Repeat([]byte{fill}, KeySize))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestOpenReturnsWhatWasSealed(t *testing.T) {
	s := newSealer(t, "shop", 7)
	for name, c := range map[string]Click{
		"all fields": sample,
		"no visitor": {EventID: "e", LinkID: "l", Time: 1},
		"zero":       {},
		"old time":   {EventID: "e", LinkID: "l", Time: -5},
		"longest":    {EventID: strings.Repeat("e", 128), LinkID: strings.Repeat("l", 64), Time: 1 << 52, AgreementVersion: 1<<32 - 1, VisitorID: strings.Repeat("v", 128)},
	} {
		token := s.Seal(c)
		got, err := s.Open(token)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(c, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if len(token) > MaxLen {
			t.Errorf("%s: token has %d characters", name, len(token))
		}
	}
}

func TestTokenHidesItsContentAndNeverRepeats(t *testing.T) {
	s := newSealer(t, "shop", 7)
	a, b := s.Seal(sample), s.Seal(sample)
	if a == b {
		t.Error("two tokens of one click are equal: the nonce repeats")
	}
	for _, secret := range []string{sample.EventID, sample.LinkID, sample.VisitorID} {
		if strings.Contains(a, secret) {
			t.Errorf("token shows %q", secret)
		}
	}
	if len(a) > 140 {
		t.Errorf("token of an ordinary click has %d characters; it must fit in an address", len(a))
	}
}

func TestTamperedTokensAreRefused(t *testing.T) {
	s := newSealer(t, "shop", 7)
	token := s.Seal(sample)
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	for i := range token {
		changed := []byte(token)
		changed[i] = alphabet[(strings.IndexByte(alphabet, token[i])+1)%len(alphabet)]
		if _, err := s.Open(string(changed)); !errors.Is(err, ErrInvalid) {
			t.Fatalf("character %d changed: got %v, want ErrInvalid", i, err)
		}
	}
	for _, bad := range []string{"", "A", token[:len(token)-1], token + "A", token[4:], strings.Repeat("A", MaxLen+1), "###", token + "="} {
		if _, err := s.Open(bad); !errors.Is(err, ErrInvalid) {
			t.Errorf("%.20q: got %v, want ErrInvalid", bad, err)
		}
	}
}

func TestTokensOfAnotherWorkspaceOrKeyAreRefused(t *testing.T) {
	token := newSealer(t, "shop", 7).Seal(sample)
	if _, err := newSealer(t, "shop", 8).Open(token); !errors.Is(err, ErrInvalid) {
		t.Errorf("another key: got %v, want ErrInvalid", err)
	}
	if _, err := newSealer(t, "other", 7).Open(token); !errors.Is(err, ErrInvalid) {
		t.Errorf("another workspace under the same key: got %v, want ErrInvalid", err)
	}
}

func TestKeyOfWrongSizeIsRefused(t *testing.T) {
	if _, err := NewSealer("shop", make([]byte, 16)); err == nil {
		t.Error("a 16-byte key was taken")
	}
}

func FuzzOpen(f *testing.F) {
	s := newSealer(f, "shop", 7)
	f.Add(s.Seal(sample), []byte("x"))
	f.Add("AQ", []byte{0, 1, 200, 200, 200})
	f.Fuzz(func(t *testing.T, token string, plain []byte) {
		// Without the key nobody makes a second token: what opens is the seed.
		if c, err := s.Open(token); err == nil && c != sample {
			t.Fatalf("opened %+v", c)
		}
		// What decrypts may still have been made by another version of this program.
		if c, err := parse(plain); err == nil {
			again, err := s.Open(s.Seal(c))
			if err == nil && again != c {
				t.Fatalf("%+v became %+v", c, again)
			}
		}
	})
}

func BenchmarkSealOpen(b *testing.B) {
	s := newSealer(b, "shop", 7)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Open(s.Seal(sample)); err != nil {
			b.Fatal(err)
		}
	}
}
