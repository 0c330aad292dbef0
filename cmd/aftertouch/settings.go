package main

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// envPrefix starts the name of every environment variable: --http-addr is AFTERTOUCH_HTTP_ADDR.
const envPrefix = "AFTERTOUCH"

// newParser returns the parser of the command line into c, whose present values become the defaults of flags without a
// default tag. Precedence: flag, environment, configuration file, default.
func newParser(c *cli, options ...kong.Option) (*kong.Kong, error) {
	parser, err := kong.New(c, append([]kong.Option{
		kong.Name("aftertouch"),
		kong.Description("Measures what people do after an influencer has reached them."),
		kong.DefaultEnvars(envPrefix),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}),
	}, options...)...)
	if err != nil {
		return nil, fmt.Errorf("building the command line: %w", err)
	}
	for _, flag := range allFlags(parser.Model.Node) {
		if !flag.HasDefault && !flag.Target.IsZero() {
			flag.HasDefault, flag.Default = true, formatValue(flag.Target)
		}
	}
	return parser, nil
}

// allFlags returns the flags of a node and of all below it.
func allFlags(node *kong.Node) []*kong.Flag {
	flags := slices.Clone(node.Flags)
	for _, child := range node.Children {
		flags = append(flags, allFlags(child)...)
	}
	return flags
}

// formatValue writes a flag's value as the command line takes it.
func formatValue(v reflect.Value) string {
	switch value := v.Interface().(type) {
	case time.Duration:
		return value.String()
	case []string:
		return strings.Join(value, ",")
	}
	return fmt.Sprint(v.Interface())
}

// configPath returns the configuration file named on the command line, else in the environment; it must be known before
// parsing, because the file takes part in it.
func configPath(args []string) string {
	for i, arg := range args {
		if path, found := strings.CutPrefix(arg, "--config="); found {
			return path
		}
		if arg == "--config" && i+1 < len(args) {
			return args[i+1]
		}
		if arg == "--" {
			break
		}
	}
	return os.Getenv(envPrefix + "_CONFIG")
}

// environment returns the variable that is set for a flag; empty when none is.
func environment(flag *kong.Flag) string {
	for _, name := range flag.Tag.Envs {
		if _, set := os.LookupEnv(name); set {
			return name
		}
	}
	return ""
}

// unknownVariables returns the variables that look like settings and are none: most likely misspelt.
func unknownVariables(parser *kong.Kong, environ []string) []string {
	known := map[string]bool{}
	for _, flag := range allFlags(parser.Model.Node) {
		for _, name := range flag.Tag.Envs {
			known[name] = true
		}
	}
	var unknown []string
	for _, pair := range environ {
		name, _, _ := strings.Cut(pair, "=")
		// The tests of this repository have variables of their own.
		if strings.HasPrefix(name, envPrefix+"_") && !strings.HasPrefix(name, envPrefix+"_TEST_") && !known[name] {
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown)
	return unknown
}
