package main

import (
	"errors"

	"github.com/alecthomas/kong"

	"github.com/aftertouch-io/aftertouch/internal/telemetry"
)

// cli is the command line: settings that every command has, and the commands.
type cli struct {
	Config string              `help:"Configuration file, YAML or JSON; its keys are the names of the flags." placeholder:"FILE" once:""`
	Check  bool                `help:"Validate the configuration, name every fault, and exit." once:"" env:"-"`
	Dump   bool                `help:"Print the effective configuration and where each setting comes from, and exit." once:"" env:"-"`
	Log    telemetry.LogConfig `embed:"" prefix:"log-"`

	All allCmd `cmd:"" help:"Run everything in one process, on embedded engines unless servers are named."`

	Collector  collectorCmd  `cmd:"" help:"Take events and append them to the log."`
	Query      queryCmd      `cmd:"" help:"Answer reports, and keep the registry of campaigns, creators, agreements, links and keys."`
	Attributor attributorCmd `cmd:"" help:"Apply the log and write journeys to ClickHouse."`
	Migrate    migrateCmd    `cmd:"" help:"Make topics, tables and the first workspace on servers; may be repeated."`

	Report reportCmd `cmd:"" help:"Print a report of a running server."`
	Replay replayCmd `cmd:"" help:"Send history from a file of JSON lines to a collector; goes on where it was interrupted."`
	Demo   demoCmd   `cmd:"" help:"Run everything and drive a world whose truth is known through it."`

	Version versionCmd `cmd:"" help:"Print what this binary was built from."`

	// parsed is set once every setting has its value.
	parsed *kong.Context
}

// Validate is called by kong before the validation of any part, so that all faults are reported at once.
func (c *cli) Validate(parsed *kong.Context) error {
	if parsed.Selected() == nil {
		return nil // kong names the commands
	}
	c.parsed = parsed
	return errors.Join(c.Log.Validate(), c.chosen().validate())
}

// chosen returns the command of the command line; every node below the root is one.
func (c *cli) chosen() command {
	return c.parsed.Selected().Target.Addr().Interface().(command)
}

// defaults returns the command line with every setting at its default.
func defaults() *cli {
	return &cli{
		Log: telemetry.DefaultLog(), All: defaultAll(), Migrate: defaultMigrate(), Report: defaultReport(), Replay: defaultReplay(), Demo: defaultDemo(),
		Collector: defaultCollectorCmd(), Query: defaultQueryCmd(),
		Attributor: attributorCmd{serviceSettings: defaultService(), Settings: defaultAttributor()},
	}
}
