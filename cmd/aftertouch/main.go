// Command aftertouch measures what people do after an influencer has reached them. One binary holds every service; see
// `aftertouch --help`.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/aftertouch-io/aftertouch/internal/run"
	"github.com/aftertouch-io/aftertouch/internal/telemetry"
)

// Set by the linker, see Makefile.
var (
	version = "dev"
	commit  = ""
	date    = ""
)

// command is what a subcommand does with its settings.
type command interface {
	// validate returns every fault of the settings, joined; each names the setting and the remedy.
	validate() error
	// run does the command's work. It returns nil when ctx ended and everything was drained.
	run(ctx context.Context, p *program) error
}

// program is what every command gets.
type program struct {
	out   io.Writer // for what the user asked for; logs go to stderr
	err   io.Writer
	build telemetry.Build
	log   telemetry.LogConfig
}

func main() {
	os.Exit(execute(os.Args[1:], os.Stdout, os.Stderr))
}

// execute runs one command line and returns its exit status.
func execute(args []string, out, errOut io.Writer) int {
	if err := parseAndRun(args, out, errOut); err != nil {
		if errors.Is(err, errLogged) {
			return 1
		}
		fmt.Fprintln(errOut, "aftertouch: "+strings.ReplaceAll(err.Error(), "\n", "\naftertouch: "))
		return 1
	}
	return 0
}

func parseAndRun(args []string, out, errOut io.Writer) error {
	c := defaults()
	options := []kong.Option{kong.Writers(out, errOut)}
	file := configPath(args)
	if file != "" {
		values, err := readConfigFile(file)
		if err != nil {
			return err
		}
		options = append(options, kong.Resolvers(values))
	}
	parser, err := newParser(c, options...)
	if err != nil {
		return err
	}
	_, err = parser.Parse(args)
	if c.parsed == nil {
		return fmt.Errorf("%w (aftertouch --help lists commands and settings)", err)
	}
	for _, name := range unknownVariables(parser, os.Environ()) {
		fmt.Fprintf(errOut, "aftertouch: environment variable %s is not a setting and is ignored\n", name)
	}
	if c.Dump {
		err = errors.Join(err, dump(out, c.parsed, file))
	}
	if err != nil {
		return err
	}
	if c.Check {
		fmt.Fprintln(errOut, "the configuration is valid")
	}
	if c.Check || c.Dump {
		return nil
	}
	return runCommand(c.chosen(), &program{
		out: out, err: errOut, log: c.Log,
		build: telemetry.Build{Version: version, Commit: commit, Date: date},
	})
}

// errLogged marks a failure that the log has already told of.
var errLogged = errors.New("logged")

// runCommand runs the command until it is done or told to stop. Where machines read the log, its last line is the failure; elsewhere
// people read it as text.
func runCommand(chosen command, p *program) error {
	log := telemetry.NewLogger(p.err, p.log)
	ctx, restore := run.Signals(context.Background(), log)
	defer restore()
	err := chosen.run(ctx, p)
	if err != nil && p.log.Format == "json" {
		log.Error("command failed", "error", err)
		return errLogged
	}
	return err
}
