package chdb

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheLibraryIsLookedForWhereTheUserSays(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	configured, named := file("configured.so"), file("named.so")
	cached := file("cache/aftertouch/chdb/" + Version + "/libchdb.so")
	t.Setenv("XDG_CACHE_HOME", filepath.Join(dir, "cache"))
	for _, c := range []struct{ config, env, want string }{
		{configured, named, configured},
		{"", named, named},
		{"", "", cached},
	} {
		t.Setenv(EnvLib, c.env)
		if got, err := FindLibrary(c.config); got != c.want || err != nil {
			t.Errorf("FindLibrary(%q) with %q = %q, %v; want %q", c.config, c.env, got, err, c.want)
		}
	}
}

func TestAMissingLibraryNamesSettingAndRemedy(t *testing.T) {
	empty := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", empty)
	for _, c := range []struct{ config, env, says string }{
		{"/no/such/lib.so", "", "/no/such/lib.so"},
		{"", "/no/such/lib.so", EnvLib},
		{"", "", "make engine"},
		{empty, "", "is not a library"},
	} {
		t.Setenv(EnvLib, c.env)
		_, err := FindLibrary(c.config)
		if !errors.Is(err, ErrNoLibrary) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "--clickhouse-dsn") {
			t.Errorf("FindLibrary(%q) with %q: %v", c.config, c.env, err)
		}
	}
}

// A file that is no library, or one of another version, must not take the process down.
func TestAWrongLibraryIsAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "libchdb.so")
	if err := os.WriteFile(path, []byte("not a library"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := load(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("load: %v", err)
	}
}

func TestTheScriptBringsThisVersion(t *testing.T) {
	script, err := os.ReadFile("../../../scripts/engine.sh")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(script), `VERSION="`+Version+`"`) {
		t.Errorf("scripts/engine.sh brings another version than %s", Version)
	}
}

func TestABadConfigurationIsRefused(t *testing.T) {
	good := Default()
	good.Dir = "x"
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Config){
		"dir":              func(c *Config) { c.Dir = "" },
		"max_queries":      func(c *Config) { c.MaxQueries = -1 },
		"max_threads":      func(c *Config) { c.MaxThreads = 5000 },
		"max_memory":       func(c *Config) { c.MaxMemory = 1 << 20 },
		"max_query_memory": func(c *Config) { c.MaxQueryMemory = -1 },
		"keep_free":        func(c *Config) { c.KeepFree = -1 },
		"log_level":        func(c *Config) { c.LogLevel = "<xml>" },
	} {
		bad := good
		change(&bad)
		if err := bad.Validate(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := Open(context.Background(), bad, slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
}
