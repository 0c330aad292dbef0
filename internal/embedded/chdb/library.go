package chdb

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Version is the engine package that this build is tested with; scripts/engine.sh brings the same one.
const Version = "26.7.3-stable.1"

// ErrNoLibrary is wrapped by the error of FindLibrary and Open when there is no engine library.
var ErrNoLibrary = errors.New("the ClickHouse engine library is missing")

// FindLibrary returns the path of the engine library: configured, else the variable AFTERTOUCH_CHDB_LIB, else the user's cache.
// Its error names the setting that was looked at and the remedy.
func FindLibrary(configured string) (string, error) {
	const otherwise = "or name a ClickHouse server with --clickhouse-dsn"
	path, from, remedy := configured, "the configured library", "correct the path"
	if path == "" {
		path, from, remedy = os.Getenv(EnvLib), "the library named by "+EnvLib, "correct the path, or unset "+EnvLib
	}
	if path == "" {
		cached, err := CachedLibrary()
		if err != nil {
			return "", fmt.Errorf("%w: there is no cache directory (%w): set %s to a libchdb.so %s", ErrNoLibrary, err, EnvLib, otherwise)
		}
		path, from, remedy = cached, "the cached library", "run make engine, set "+EnvLib+" to a libchdb.so"
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return "", fmt.Errorf("%w: %s: %w: %s %s", ErrNoLibrary, from, err, remedy, otherwise)
	case !info.Mode().IsRegular() || info.Size() == 0:
		return "", fmt.Errorf("%w: %s, %s, is not a library: %s %s", ErrNoLibrary, from, path, remedy, otherwise)
	}
	return path, nil
}

// CachedLibrary returns where `make engine` puts the library: below XDG_CACHE_HOME, else below ~/.cache, on every system.
func CachedLibrary() (string, error) {
	cache := os.Getenv("XDG_CACHE_HOME")
	if cache == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		cache = filepath.Join(home, ".cache")
	}
	return filepath.Join(cache, "aftertouch", "chdb", Version, "libchdb.so"), nil
}
