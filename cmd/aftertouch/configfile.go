package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"
)

// configFile answers kong with the values of a YAML (or JSON, which YAML contains) file. Its keys are the flags' names, with
// hyphens or underscores; nested keys are joined, so that collector: {spool-bytes: 1} is --collector-spool-bytes=1.
type configFile struct {
	path   string
	values map[string]any
}

// readConfigFile reads a configuration file.
func readConfigFile(path string) (*configFile, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration file (--config): %w", err)
	}
	var tree map[string]any
	if err := yaml.Unmarshal(text, &tree); err != nil {
		return nil, fmt.Errorf("reading the configuration file %s: %w", path, err)
	}
	f := &configFile{path: path, values: map[string]any{}}
	f.flatten("", tree)
	return f, nil
}

func (f *configFile) flatten(prefix string, tree map[string]any) {
	for key, value := range tree {
		name := prefix + strings.ReplaceAll(key, "_", "-")
		switch value := value.(type) {
		case map[string]any:
			f.flatten(name+"-", value)
		case []any:
			words := make([]string, len(value))
			for i, v := range value {
				words[i] = fmt.Sprint(v)
			}
			f.values[name] = strings.Join(words, ",")
		case nil:
		default:
			f.values[name] = fmt.Sprint(value)
		}
	}
}

// Validate refuses keys that are no flag of any command. One file may serve several commands.
func (f *configFile) Validate(app *kong.Application) error {
	known := map[string]bool{}
	for _, flag := range allFlags(app.Node) {
		known[flag.Name] = true
	}
	var errs []error
	for name := range f.values {
		if !known[name] {
			errs = append(errs, fmt.Errorf("configuration file %s: there is no setting %q", f.path, name))
		}
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(errs...)
}

// Resolve returns the file's value of a flag unless the environment has one.
func (f *configFile) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	value, found := f.values[flag.Name]
	if !found || environment(flag) != "" {
		return nil, nil
	}
	return value, nil
}
