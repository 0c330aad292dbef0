package e2e

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"
)

// ciEnv is set where a missing browser is a fault, not a choice.
const ciEnv = "CI"

// sites are a creator's blog and a shop. Aftertouch itself is reached as go.localhost: three sites to the browser.
type sites struct {
	collector, port string
}

func serveSites(t *testing.T, s *server) *sites {
	t.Helper()
	w := &sites{collector: strings.Replace(s.http, "127.0.0.1", "go.localhost", 1)}
	server := httptest.NewServer(http.HandlerFunc(w.page))
	t.Cleanup(server.Close)
	w.port = server.URL[strings.LastIndex(server.URL, ":"):]
	return w
}

func (w *sites) url(site, path string) string { return "http://" + site + ".localhost" + w.port + path }

func (w *sites) page(out http.ResponseWriter, r *http.Request) {
	site, _, _ := strings.Cut(r.Host, ".")
	script := fmt.Sprintf(`<script async src="%s/at.js" data-key="%s"></script>`, w.collector, webKey)
	out.Header().Set("Content-Type", "text/html; charset=utf-8")
	page := map[string]string{
		"blog/post": script + `<div style="height:3000px">Far down is the post.</div><article data-at-placement="ana-post" style="height:200px">
			<a id="link" href="` + w.collector + `/c/ana-shop">The shop</a></article>`,
		"blog/pixel":   `<img id="pixel" src="` + w.collector + `/v1/pixel.gif?key=` + webKey + `&placement=ana-post">`,
		"shop/landing": script + `<a id="buy" href="/thanks?order=` + r.URL.Query().Get("order") + `">Buy</a>`,
		"shop/thanks": `<script>(window.aftertouch = window.aftertouch || []).push(['conversion',
			{action: 'purchase', order_id: new URLSearchParams(location.search).get('order'), value_minor: 4900, currency: 'EUR'}])</script>` +
			script + `<p id="thanks">Thank you</p>`,
	}[site+r.URL.Path]
	if page == "" {
		http.NotFound(out, r)
		return
	}
	fmt.Fprint(out, "<!doctype html><body>", page)
}

// chromium starts a browser with a profile of its own and third-party cookies blocked.
func chromium(t *testing.T) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil && os.Getenv(ciEnv) != "" {
		t.Fatal("Chromium is missing: install the package chromium")
	}
	if err != nil {
		t.Skip("Chromium is missing: install it to run this test")
	}
	options := append([]chromedp.ExecAllocatorOption{}, chromedp.DefaultExecAllocatorOptions[:]...)
	options = append(options, chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.Flag("test-third-party-cookie-phaseout", true),
		// An unmarked headless browser is rightly taken for a robot.
		chromedp.UserAgent("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"),
		chromedp.UserDataDir(t.TempDir()))
	allocator, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	tab, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	// The browser lives as long as the context of the first call.
	if err := chromedp.Do(tab, chromedp.Navigate("about:blank")); err != nil {
		t.Fatalf("starting Chromium: %v", err)
	}
	tab, cancel = context.WithTimeout(tab, 3*time.Minute)
	t.Cleanup(cancel)
	return tab
}

func step(t *testing.T, tab context.Context, name string, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(tab, actions...); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// exposed is the line of a creator in the report exposure.
type exposed struct{ Creator, Exposed, Clicked, Acted string }

func (s *server) exposure(t *testing.T) []exposed {
	t.Helper()
	var report struct{ Rows []exposed }
	s.call(t, http.MethodGet, "/v1/reports/exposure?action=purchase", nil, &report, http.StatusOK)
	return report.Rows
}

// awaitViewable waits until a viewable impression is in the report.
func (s *server) awaitViewable(t *testing.T) {
	t.Helper()
	deadline := time.Now().Add(reportTimeout)
	for {
		got, body := s.performance(t)
		if got.Viewable == "1" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("no viewable impression is in the report: %s", body)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// TestFromAPostInABrowserToAReceipt follows a person from a creator's post over the creator's link to a purchase, in a real
// browser; then somebody who was sent the landing address, and a page that has no script.
func TestFromAPostInABrowserToAReceipt(t *testing.T) {
	tab := chromium(t)
	s := start(t, t.TempDir())
	agree(t, s)
	w := serveSites(t, s)
	s.call(t, http.MethodPost, "/v1/links", map[string]any{
		"link_id": "ana-shop", "agreement_id": "ana-spring", "placement_id": "ana-post", "target_url": w.url("shop", "/landing?order=order-1"),
	}, nil, http.StatusOK)

	step(t, tab, "opening the blog", chromedp.Navigate(w.url("blog", "/post")), chromedp.Sleep(1200*time.Millisecond))
	step(t, tab, "scrolling to the post", chromedp.ScrollIntoView("#link"))
	// The post must have been in view for a second of the browser's time, however slow the machine is.
	s.awaitViewable(t)
	step(t, tab, "following the link", chromedp.Click("#link"), chromedp.WaitVisible("#buy"), chromedp.Sleep(300*time.Millisecond))
	landing, err := chromedp.Run(tab, chromedp.Location())
	if err != nil || landing != w.url("shop", "/landing?order=order-1") {
		t.Fatalf("the address bar shows %q, %v", landing, err)
	}
	step(t, tab, "buying", chromedp.Click("#buy"), chromedp.WaitVisible("#thanks"))
	once := figures{
		Impressions: "1", Viewable: "1", Clicks: "1", Exposed: "1", Acted: "1",
		LastTouch: "1.000000000", Value: "4900", Total: "1.000000000", Attributed: "1.000000000",
	}
	s.await(t, once)
	want := []exposed{{Creator: "ana", Exposed: "1", Clicked: "1", Acted: "1"}}
	if diff := cmp.Diff(want, s.exposure(t)); diff != "" {
		t.Errorf("exposure (-want +got):\n%s", diff)
	}
	s.checkReceipt(t)

	t.Run("the landing address in another browser inherits nothing", func(t *testing.T) {
		other := chromium(t)
		step(t, other, "opening the address", chromedp.Navigate(strings.Replace(landing, "order-1", "order-2", 1)), chromedp.WaitVisible("#buy"))
		step(t, other, "buying", chromedp.Click("#buy"), chromedp.WaitVisible("#thanks"))
		twice := once
		twice.Total = "2.000000000"
		s.await(t, twice)
		if diff := cmp.Diff(want, s.exposure(t)); diff != "" {
			t.Errorf("exposure (-want +got):\n%s", diff)
		}
	})
	t.Run("a pixel without the script is an unmeasured impression", func(t *testing.T) {
		step(t, tab, "opening the page", chromedp.Navigate(w.url("blog", "/pixel")), chromedp.WaitReady("#pixel"))
		seen := once
		seen.Impressions, seen.Total = "2", "2.000000000"
		s.await(t, seen)
	})
}
