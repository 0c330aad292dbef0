package chdb

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// toolbox makes a directory with links to the named programs: a PATH that holds nothing else.
func toolbox(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		path, err := exec.LookPath(name)
		if err != nil && name == "ldd" { // macOS has none, and the script asks it on Linux only
			continue
		}
		if err != nil {
			t.Fatalf("the script needs %s: %v", name, err)
		}
		if err := os.Symlink(path, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// scriptTools is what scripts/engine.sh uses besides npm.
var scriptTools = []string{"bash", "uname", "ldd", "cat", "grep", "mkdir", "mktemp", "rm", "mv", "tar", "gzip", "chmod", "find", "openssl"}

// engineScript runs scripts/engine.sh with nothing but the given environment.
func engineScript(t *testing.T, env ...string) (output string, ok bool) {
	t.Helper()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), bash, "../../../scripts/engine.sh")
	cmd.Env = env
	out, err := cmd.CombinedOutput()
	return string(out), err == nil
}

// fakePackage writes an archive like the published one and returns its path and integrity.
func fakePackage(t *testing.T, content string) (path, integrity string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "lib.tgz")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha512.New()
	z := gzip.NewWriter(io.MultiWriter(f, sum))
	w := tar.NewWriter(z)
	if err := w.WriteHeader(&tar.Header{Name: "package/libchdb.so", Mode: 0o755, Size: int64(len(content))}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, content); err != nil {
		t.Fatal(err)
	}
	for _, c := range []io.Closer{w, z, f} {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return path, "sha512-" + base64.StdEncoding.EncodeToString(sum.Sum(nil))
}

func TestTheScriptInstallsOnlyWhatItCanVerify(t *testing.T) {
	cache, path := t.TempDir(), "PATH="+toolbox(t, scriptTools...)
	lib := filepath.Join(cache, "aftertouch", "chdb", Version, "libchdb.so")
	tgz, integrity := fakePackage(t, "a library")
	env := []string{path, "XDG_CACHE_HOME=" + cache, "AFTERTOUCH_CHDB_TGZ=" + tgz}

	out, ok := engineScript(t, append(env, "AFTERTOUCH_CHDB_INTEGRITY=sha512-bm90IGl0")...)
	if ok || !strings.Contains(out, "differs from the pinned one") || !strings.Contains(out, integrity) {
		t.Errorf("a package with another sha512: %s", out)
	}
	if _, err := os.Stat(lib); err == nil {
		t.Fatal("the refused package was installed")
	}
	out, ok = engineScript(t, append(env, "AFTERTOUCH_CHDB_INTEGRITY="+integrity)...)
	if content, err := os.ReadFile(lib); !ok || err != nil || string(content) != "a library" {
		t.Fatalf("installing: %q, %v: %s", content, err, out)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(lib), "*")); len(left) != 1 {
		t.Errorf("the installation left %v", left)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(lib), ".fetch*")); len(left) != 0 {
		t.Errorf("the installation left %v", left)
	}
	// The next run needs no tool that fetches or checks.
	if out, ok := engineScript(t, "PATH="+toolbox(t, "bash"), "XDG_CACHE_HOME="+cache); !ok || !strings.Contains(out, lib) {
		t.Errorf("the second run: %s", out)
	}
}

func TestTheScriptSaysWhatToDo(t *testing.T) {
	cache := "XDG_CACHE_HOME=" + t.TempDir()
	tools := toolbox(t, scriptTools...)
	strange := toolbox(t, scriptTools[2:]...)
	if err := os.WriteFile(filepath.Join(strange, "uname"), []byte("#!/bin/sh\necho Plan9\n"), 0o700); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	broken := toolbox(t, scriptTools...)
	if err := os.WriteFile(filepath.Join(broken, "npm"), []byte("#!/bin/sh\nexit 1\n"), 0o700); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	const integrity = "AFTERTOUCH_CHDB_INTEGRITY=sha512-x" // so that the platform of this test has one
	for name, c := range map[string]struct {
		env  []string
		says string
	}{
		"no npm":          {[]string{"PATH=" + tools, cache, integrity}, "npm is missing"},
		"npm fails":       {[]string{"PATH=" + broken, cache, integrity}, "npm pack"},
		"no build":        {[]string{"PATH=" + strange, cache}, "no engine library for Plan9"},
		"missing library": {[]string{"PATH=" + tools, cache, EnvLib + "=/no/such/lib.so"}, "cannot be read"},
		"missing package": {[]string{"PATH=" + tools, cache, integrity, "AFTERTOUCH_CHDB_TGZ=/no/such.tgz"}, "cannot be read"},
	} {
		out, ok := engineScript(t, c.env...)
		if ok || !strings.Contains(out, c.says) {
			t.Errorf("%s: %s", name, out)
		}
		if remedy := strings.HasPrefix(name, "no ") || name == "npm fails"; remedy && (!strings.Contains(out, EnvLib) || !strings.Contains(out, "--clickhouse-dsn")) {
			t.Errorf("%s: the remedy is missing: %s", name, out)
		}
	}
}
