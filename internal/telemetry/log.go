package telemetry

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// LogConfig shapes the process's log.
type LogConfig struct {
	// Level is the least severe level written: debug, info, warn or error. Default info.
	Level string `help:"Least severe level written: debug, info, warn or error."`
	// Format is text or json. Default text.
	Format string `help:"Form of the log: text or json."`
}

// DefaultLog returns the configuration that a person at a terminal wants.
func DefaultLog() LogConfig { return LogConfig{Level: "info", Format: "text"} }

// Validate returns every fault of the configuration, joined.
func (c LogConfig) Validate() error {
	var level slog.Level
	var errs []error
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		errs = append(errs, fmt.Errorf("log-level is %q: use debug, info, warn or error", c.Level))
	}
	if c.Format != "text" && c.Format != "json" {
		errs = append(errs, fmt.Errorf("log-format is %q: use text or json", c.Format))
	}
	return errors.Join(errs...)
}

// NewLogger returns a logger that writes to w. The configuration must be valid; an unknown level is read as info.
func NewLogger(w io.Writer, c LogConfig) *slog.Logger {
	level := slog.LevelInfo
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		level = slog.LevelInfo
	}
	options := &slog.HandlerOptions{Level: level}
	if strings.EqualFold(c.Format, "json") {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
