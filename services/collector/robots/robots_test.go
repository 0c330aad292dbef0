package robots

import (
	"regexp"
	"strings"
	"testing"
)

func newList(t testing.TB, without ...string) *List {
	t.Helper()
	l, err := New(without...)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

const (
	chrome   = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
	iPhone   = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1"
	insta    = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 Instagram 389.0.0.40.78 (iPhone14,5; iOS 18_5; de_DE; de; scale=3.00; 1170x2532; 757202498)"
	firefox  = "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0"
	google   = "Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
	headless = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/140.0.0.0 Safari/537.36"
)

func TestMatch(t *testing.T) {
	l := newList(t, HTTPLibrary)
	for ua, want := range map[string]bool{
		chrome: false, iPhone: false, insta: false, firefox: false, "": false, "curl/8.5.0": false, "Go-http-client/1.1": false, "okhttp/4.12.0": false,
		google: true, headless: true, "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)": true,
		"Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)": true, "Twitterbot/1.0": true, "WhatsApp/2.23.20.0": true,
		"Mozilla/5.0 (compatible; GPTBot/1.2; +https://openai.com/gptbot)": true, "TelegramBot (like TwitterBot)": true,
	} {
		for range 2 { // the second answer comes from the cache
			if got := l.Match(ua); got != want {
				t.Errorf("%q: got %v, want %v", ua, got, want)
			}
		}
	}
	if !newList(t).Match("curl/8.5.0") {
		t.Error("without exceptions curl is on the list")
	}
}

// The index must answer as the plain list does, entry by entry.
func TestIndexAgreesWithThePlainList(t *testing.T) {
	l := newList(t)
	var all []*regexp.Regexp
	var agents []string
	for line := range strings.Lines(patterns) {
		_, pattern, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		all = append(all, regexp.MustCompile(pattern))
		// A text like the pattern: most are literals with escapes.
		text := strings.NewReplacer(`\`, "", "^", "", "$", "").Replace(pattern)
		agents = append(agents, text, "x"+text+"/1.0", chrome+" "+text, strings.ToUpper(text))
	}
	found := 0
	for _, ua := range append(agents, chrome, iPhone, insta, firefox, google, headless) {
		want := false
		for _, re := range all {
			if want = re.MatchString(ua); want {
				found++
				break
			}
		}
		if got := l.match(ua); got != want {
			t.Errorf("%q: got %v, want %v", ua, got, want)
		}
	}
	if found < len(all) {
		t.Errorf("only %d texts match: the test tests too little", found)
	}
	if len(l.rest) > 120 {
		t.Errorf("%d patterns are not indexed", len(l.rest))
	}
}

func TestCacheIsBounded(t *testing.T) {
	l := newList(t)
	for i := range maxCached + 10 {
		l.cache[uint64(i)] = true
	}
	l.Match(chrome)
	if len(l.cache) != 1 {
		t.Errorf("%d cached", len(l.cache))
	}
}

func BenchmarkMatchUncached(b *testing.B) {
	l := newList(b, HTTPLibrary)
	b.ReportAllocs()
	for b.Loop() {
		l.match(insta)
	}
}

func BenchmarkMatchCached(b *testing.B) {
	l := newList(b, HTTPLibrary)
	b.ReportAllocs()
	for b.Loop() {
		l.Match(insta)
	}
}
