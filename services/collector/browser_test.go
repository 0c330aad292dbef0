package collector

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/event"
	"github.com/chromedp/chromedp"
)

// sites serves three sites by their names, all on one port: a creator's blog, the collector and a shop.
func (r *rig) sites(t *testing.T) func(site, path string) string {
	t.Helper()
	mux := http.NewServeMux()
	r.collector.RegisterHTTP(mux)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		site, _, _ := strings.Cut(req.Host, ".")
		script := fmt.Sprintf(`<script async src="http://go.localhost%s/at.js" data-key="%s"></script>`, req.Host[strings.LastIndex(req.Host, ":"):], webKey)
		w.Header().Set("Content-Type", "text/html")
		switch site + req.URL.Path {
		case "blog/post":
			_, _ = fmt.Fprintf(w, `<!doctype html><body>%s<div style="height:3000px">Scroll</div>
				<article data-at-placement="p-anna" style="height:200px"><a id="link" href="http://go.localhost%s/c/browser">The shop</a></article>`, script, req.Host[strings.LastIndex(req.Host, ":"):])
		case "shop/land", "shop/cart":
			_, _ = fmt.Fprintf(w, `<!doctype html><body>%s<a id="thanks" href="/thanks">Buy</a>`, script)
		case "shop/thanks":
			_, _ = fmt.Fprintf(w, `<!doctype html><body><script>(window.aftertouch = window.aftertouch || []).push(['conversion', {action: 'purchase', order_id: 'browser-1', value_minor: 4999, currency: 'EUR'}])</script>%s<p id="done">Thanks</p>`, script)
		case "blog/pixel":
			_, _ = fmt.Fprintf(w, `<!doctype html><body><img id="px" src="http://go.localhost%s/v1/pixel.gif?key=%s&placement=p-ben">`, req.Host[strings.LastIndex(req.Host, ":"):], webKey)
		default:
			mux.ServeHTTP(w, req)
		}
	}))
	server.Start()
	t.Cleanup(server.Close)
	port := server.Listener.Addr().String()
	port = port[strings.LastIndex(port, ":"):]
	return func(site, path string) string { return "http://" + site + ".localhost" + port + path }
}

// browser starts Chromium with third-party cookies blocked and returns a new tab.
func browser(t *testing.T, path string) context.Context {
	t.Helper()
	options := append([]chromedp.ExecAllocatorOption{}, chromedp.DefaultExecAllocatorOptions[:]...)
	options = append(options, chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.UserAgent(chrome), chromedp.Flag("test-third-party-cookie-phaseout", true),
		chromedp.UserDataDir(t.TempDir()))
	allocator, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	tab, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	// The first call starts the browser, which lives as long as that call's context.
	if err := chromedp.Do(tab, chromedp.Navigate("about:blank")); err != nil {
		t.Fatalf("starting Chromium: %v", err)
	}
	tab, cancel = context.WithTimeout(tab, time.Minute)
	t.Cleanup(cancel)
	return tab
}

func TestScriptInChromium(t *testing.T) {
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed")
	}
	r := newRig(t)
	site := r.sites(t)
	writeLink(t, r, "browser", site("shop", "/land?size=42"))
	tab := browser(t, path)

	step(tab, t, "post", chromedp.Navigate(site("blog", "/post")), chromedp.Sleep(1500*time.Millisecond))
	if n := len(r.eventsOf(isImpression)); n != 0 {
		t.Fatalf("%d impressions before the post is in view", n)
	}
	step(tab, t, "scroll", chromedp.ScrollIntoView("#link"))
	eventually(t, "the post was in view for a second", func() bool { return len(r.eventsOf(isImpression)) == 1 })
	shown := r.eventsOf(isImpression)[0]
	if i := shown.GetImpression(); i.Viewability != aftertouchv1.Impression_viewable || i.VisibleMs < 1000 || shown.Stamps.Terms.GetCreatorId() != "anna" || shown.VisitorId == "" {
		t.Errorf("%v", shown)
	}

	step(tab, t, "click", chromedp.Click("#link"), chromedp.WaitVisible("#thanks"), chromedp.Sleep(300*time.Millisecond))
	address, err := chromedp.Run(tab, chromedp.Location())
	if err != nil {
		t.Fatal(err)
	}
	if address != site("shop", "/land?size=42") {
		t.Errorf("address bar shows %s", address)
	}
	eventually(t, "click and visit", func() bool { return len(r.eventsOf(isClick)) == 1 && len(r.landings()) == 1 })
	click, visit := r.eventsOf(isClick)[0], r.landings()[0]
	if click.VisitorId != shown.VisitorId {
		t.Errorf("the redirect was told of visitor %q, the post was seen by %q", click.VisitorId, shown.VisitorId)
	}
	if ref := visit.Stamps.Click; ref.GetEventId() != click.EventId || ref.GetVisitorId() != shown.VisitorId || !visit.GetVisit().SessionStart || visit.VisitorId == shown.VisitorId {
		t.Errorf("%v", visit)
	}

	step(tab, t, "buy", chromedp.Click("#thanks"), chromedp.WaitVisible("#done"))
	eventually(t, "the conversion", func() bool { return len(r.logged()["shop/o:purchase//browser-1"]) == 1 })
	if e := r.only("shop/o:purchase//browser-1"); e.VisitorId != visit.VisitorId || e.Stamps.Click.GetEventId() != click.EventId || e.GetConversion().ValueMinor != 4999 {
		t.Errorf("%v", e)
	}

	step(tab, t, "pixel", chromedp.Navigate(site("blog", "/pixel")))
	eventually(t, "the pixel's impression", func() bool { return len(r.eventsOf(isUnmeasured)) == 1 })

	// The same landing address in another browser is another visitor without a click.
	other := browser(t, path)
	step(other, t, "another browser", chromedp.Navigate(address), chromedp.WaitVisible("#thanks"))
	eventually(t, "the second visit", func() bool { return len(r.landings()) == 2 })
	for _, e := range r.landings() {
		if e.EventId != visit.EventId && (e.VisitorId == visit.VisitorId || e.Stamps.Click != nil) {
			t.Errorf("inherited: %v", e)
		}
	}
	if n := r.metric("aftertouch_collector_rejected_events_total"); n != 0 {
		t.Errorf("%v events were refused", n)
	}
}

func step(tab context.Context, t *testing.T, name string, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(tab, actions...); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

func writeLink(t *testing.T, r *rig, id, target string) {
	t.Helper()
	if _, err := url.Parse(target); err != nil {
		t.Fatal(err)
	}
	err := r.world.store.Write(t.Context(), "shop", &aftertouchv1.RegistryRecord{Object: &aftertouchv1.RegistryRecord_Link{
		Link: &aftertouchv1.Link{LinkId: id, Version: 1, AgreementId: "a-anna", PlacementId: "p-anna", TargetUrl: target},
	}})
	if err != nil {
		t.Fatal(err)
	}
}

// eventsOf returns the logged events for which wanted is true, each record once.
func (r *rig) eventsOf(wanted func(*aftertouchv1.Event) bool) (found []*aftertouchv1.Event) {
	for _, recs := range r.logged() {
		for _, rec := range recs {
			if rec.Event != nil && wanted(rec.Event) {
				found = append(found, rec.Event)
			}
		}
	}
	return found
}

func isImpression(e *aftertouchv1.Event) bool { return e.GetImpression() != nil }

func isUnmeasured(e *aftertouchv1.Event) bool {
	return isImpression(e) && e.GetImpression().Viewability == aftertouchv1.Impression_unmeasured && e.Placement == "p-ben"
}

func isClick(e *aftertouchv1.Event) bool { return event.KindOf(e) == event.KindClick }

func (r *rig) landings() []*aftertouchv1.Event {
	return r.eventsOf(func(e *aftertouchv1.Event) bool {
		return e.GetVisit() != nil && strings.HasSuffix(e.PageUrl, "/land")
	})
}
