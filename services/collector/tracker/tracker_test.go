package tracker

import (
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func serve(t *testing.T, headers ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/at.js", nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, r)
	return w.Result()
}

func TestScriptIsSmallCacheableAndStripped(t *testing.T) {
	plain := serve(t)
	body, err := io.ReadAll(plain.Body)
	if err != nil || !strings.Contains(string(body), "at_click") || strings.Contains(string(body), "\n//") || strings.Contains(string(body), "\n ") {
		t.Errorf("%v: %.200s", err, body)
	}
	if plain.Header.Get("ETag") == "" || !strings.Contains(plain.Header.Get("Cache-Control"), "max-age=3600") {
		t.Errorf("%v", plain.Header)
	}
	zipped := serve(t, "Accept-Encoding", "gzip, br")
	raw, err := io.ReadAll(zipped.Body)
	if err != nil || zipped.Header.Get("Content-Encoding") != "gzip" || len(raw) > 4096 {
		t.Errorf("%v: %d bytes, %v", err, len(raw), zipped.Header)
	}
	z, err := gzip.NewReader(strings.NewReader(string(raw)))
	if err != nil {
		t.Fatal(err)
	}
	if unzipped, err := io.ReadAll(z); err != nil || string(unzipped) != string(body) {
		t.Errorf("gzip holds another script: %v", err)
	}
	if again := serve(t, "If-None-Match", plain.Header.Get("ETag")); again.StatusCode != http.StatusNotModified {
		t.Errorf("known script: %d", again.StatusCode)
	}
}

// TestScript runs at.test.mjs, the script's own tests, where there is a Node of version 20 or newer.
func TestScript(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not installed")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, node, "--test", "at.test.mjs").CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
