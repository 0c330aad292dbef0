package registry

import (
	"testing"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
)

func TestOrigins(t *testing.T) {
	for _, tc := range []struct {
		pattern, origin string
		want            bool
	}{
		{"*", "https://shop.example", true},
		{"*", "", true},
		{"https://shop.example", "https://shop.example", true},
		{"https://shop.example", "https://SHOP.example", true},
		{"https://shop.example", "http://shop.example", false},
		{"https://shop.example", "https://shop.example:8443", false},
		{"https://shop.example", "https://evil-shop.example", false},
		{"https://shop.example", "", false},
		{"https://*.shop.example", "https://www.shop.example", true},
		{"https://*.shop.example", "https://a.b.shop.example", true},
		{"https://*.shop.example", "https://shop.example", false},
		{"https://*.shop.example", "https://.shop.example", false},
		{"https://*.shop.example", "https://evilshop.example", false},
		{"https://*.shop.example", "https://shop.example.evil.example", false},
		{"http://localhost:8080", "http://localhost:8080", true},
	} {
		k := &Key{Key: &aftertouchv1.Key{Kind: aftertouchv1.Key_web, Origins: []string{"https://other.example", tc.pattern}}}
		if got := k.CheckOrigin(tc.origin) == ""; got != tc.want {
			t.Errorf("pattern %q, origin %q: %v, want %v", tc.pattern, tc.origin, got, tc.want)
		}
	}
	secret := &Key{Key: &aftertouchv1.Key{Kind: aftertouchv1.Key_secret}}
	if secret.CheckOrigin("https://any.example") != "" {
		t.Error("a secret key is refused for its origin")
	}
}

func TestWebKeysMayOnlyCollectWhateverTheirScopes(t *testing.T) {
	k := &aftertouchv1.Key{Kind: aftertouchv1.Key_web, Scopes: []string{"admin"}}
	if got := scopesOf(k); got != ScopeCollect {
		t.Errorf("scopes %b", got)
	}
}

func TestRequestOrigin(t *testing.T) {
	for _, tc := range [][3]string{
		{"https://shop.example", "https://other.example/x", "https://shop.example"},
		{"", "https://blog.example:8443/post?x=1", "https://blog.example:8443"},
		{"null", "https://blog.example/post", "https://blog.example"},
		{"", "", ""},
		{"", "not a url", ""},
		{"", "/relative", ""},
	} {
		if got := RequestOrigin(tc[0], tc[1]); got != tc[2] {
			t.Errorf("origin %q, referer %q: %q, want %q", tc[0], tc[1], got, tc[2])
		}
	}
	for header, want := range map[string]string{"Bearer abc": "abc", "bearer abc": "abc", "Basic abc": "", "abc": "", "": ""} {
		if got := BearerToken(header); got != want {
			t.Errorf("%q: %q, want %q", header, got, want)
		}
	}
}
