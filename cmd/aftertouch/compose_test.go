package main

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"
)

type composeFile struct {
	Services map[string]struct {
		Image       string
		Command     []string
		Environment map[string]string
		Grace       string `yaml:"stop_grace_period"`
	}
}

func readCompose(t *testing.T) composeFile {
	t.Helper()
	text, err := os.ReadFile("../../docker-compose.yml")
	if err != nil {
		t.Fatal(err)
	}
	var file composeFile
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestComposePassesOnlyWhatTheBinaryReads compares every variable and flag of docker-compose.yml with those of the command that it
// starts.
func TestComposePassesOnlyWhatTheBinaryReads(t *testing.T) {
	parser, err := newParser(defaults())
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for name, service := range readCompose(t).Services {
		if !strings.HasPrefix(service.Image, "aftertouch:") {
			continue
		}
		if len(service.Command) == 0 {
			t.Errorf("service %s names no command", name)
			continue
		}
		known := flagsOf(parser, service.Command[0])
		if known == nil {
			t.Errorf("service %s runs %q, which is no command of the binary", name, service.Command[0])
			continue
		}
		for variable := range service.Environment {
			checked++
			if strings.HasPrefix(variable, envPrefix+"_") && !slices.ContainsFunc(known, func(f *kong.Flag) bool { return slices.Contains(f.Tag.Envs, variable) }) {
				t.Errorf("service %s passes %s, which `aftertouch %s` does not read", name, variable, service.Command[0])
			}
		}
		for _, arg := range service.Command[1:] {
			checked++
			flag, _, _ := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
			if !slices.ContainsFunc(known, func(f *kong.Flag) bool { return f.Name == flag }) {
				t.Errorf("service %s passes %s, which `aftertouch %s` does not read", name, arg, service.Command[0])
			}
		}
	}
	if checked < 10 {
		t.Errorf("only %d variables and flags were compared: the test no longer reads the file", checked)
	}
}

// flagsOf returns the flags of a command and of the root.
func flagsOf(parser *kong.Kong, command string) []*kong.Flag {
	for _, node := range parser.Model.Children {
		if node.Name == command {
			return append(slices.Clone(parser.Model.Flags), allFlags(node)...)
		}
	}
	return nil
}

// TestComposeGivesServicesTimeToDrain compares the container's patience with the process's.
func TestComposeGivesServicesTimeToDrain(t *testing.T) {
	checked := 0
	for name, service := range readCompose(t).Services {
		budget, found := service.Environment["AFTERTOUCH_DRAIN_TIMEOUT"]
		if !found {
			continue
		}
		checked++
		drain, err := time.ParseDuration(budget)
		if err != nil {
			t.Fatal(err)
		}
		if grace, err := time.ParseDuration(service.Grace); err != nil || grace <= drain {
			t.Errorf("service %s has %s to stop (%v) and is killed after %q", name, drain, err, service.Grace)
		}
	}
	if checked != 3 {
		t.Errorf("checked %d services, want collector, attributor and query", checked)
	}
}
