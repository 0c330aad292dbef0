package chdb

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
)

// EnvLib is the environment variable that names the engine library when Config.Lib does not.
const EnvLib = "AFTERTOUCH_CHDB_LIB"

// Config says where the engine lives and how much of the machine it may use. Start from Default.
type Config struct {
	// Lib is the path of libchdb.so. Empty: the variable AFTERTOUCH_CHDB_LIB, else the user's cache, where `make engine` puts it.
	Lib string
	// Dir is the directory that holds the engine's data; it is created with mode 0700. Required. One process at a time can use it.
	Dir string
	// Addr is the loopback address that the endpoint listens on. Default 127.0.0.1:0, a free port.
	Addr string
	// MaxQueries bounds the statements that run at one time; more wait for their turn. Default 4 a processor, at least 16.
	MaxQueries int
	// MaxThreads bounds the threads of one statement. Default: the number of processors.
	MaxThreads int
	// MaxMemory bounds what the engine allocates, in bytes; a statement over it fails with code 241. Default 0: half of the machine's memory.
	MaxMemory int64
	// MaxQueryMemory bounds one statement, in bytes; sorting and grouping spill to disk at half of it. Default 0: half of MaxMemory.
	MaxQueryMemory int64
	// KeepFree is how much of the disk must stay free, in bytes; inserts and merges that would take it are refused with code 243. Default 256 MiB.
	KeepFree int64
	// LogLevel is the level of the engine's own log on stderr: none, fatal, error, warning, information, debug or trace. Default fatal.
	LogLevel string
}

// Default returns the configuration without its Dir.
func Default() Config {
	return Config{
		Addr:       "127.0.0.1:0",
		MaxQueries: max(16, 4*runtime.NumCPU()),
		MaxThreads: runtime.NumCPU(),
		KeepFree:   256 << 20,
		LogLevel:   "fatal",
	}
}

// withDefaults fills the fields that were left zero.
func (c Config) withDefaults() Config {
	d := Default()
	if c.Addr == "" {
		c.Addr = d.Addr
	}
	if c.MaxQueries == 0 {
		c.MaxQueries = d.MaxQueries
	}
	if c.MaxThreads == 0 {
		c.MaxThreads = d.MaxThreads
	}
	if c.KeepFree == 0 {
		c.KeepFree = d.KeepFree
	}
	if c.LogLevel == "" {
		c.LogLevel = d.LogLevel
	}
	return c
}

// Validate reports every field that is out of range; zero means the default and is in range everywhere but in Dir.
func (c Config) Validate() error {
	var errs []error
	if c.Dir == "" {
		errs = append(errs, errors.New("dir is empty: the engine needs a directory for its data"))
	}
	if c.MaxQueries < 0 || c.MaxQueries > 1000 {
		errs = append(errs, fmt.Errorf("max_queries is %d: it must be between 1 and 1000", c.MaxQueries))
	}
	if c.MaxThreads < 0 || c.MaxThreads > 1024 {
		errs = append(errs, fmt.Errorf("max_threads is %d: it must be between 1 and 1024", c.MaxThreads))
	}
	if c.MaxMemory != 0 && c.MaxMemory < minMemory {
		errs = append(errs, fmt.Errorf("max_memory is %d: it must be at least %d bytes", c.MaxMemory, minMemory))
	}
	if c.MaxQueryMemory < 0 {
		errs = append(errs, fmt.Errorf("max_query_memory is %d: it must not be negative", c.MaxQueryMemory))
	}
	if c.KeepFree < 0 {
		errs = append(errs, fmt.Errorf("keep_free is %d: it must not be negative", c.KeepFree))
	}
	switch c.LogLevel {
	case "", "none", "fatal", "error", "warning", "information", "debug", "trace":
	default:
		errs = append(errs, fmt.Errorf("log_level %q is unknown: none, fatal, error, warning, information, debug or trace", c.LogLevel))
	}
	return errors.Join(errs...)
}

// minMemory is what the engine needs to start and to answer small queries: 300 MB are resident after the start.
const minMemory = 512 << 20

// configFile is the engine's configuration inside Dir. It is written anew at each start.
func (c Config) configFile() string { return filepath.Join(c.Dir, "engine.xml") }
