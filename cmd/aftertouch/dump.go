package main

import (
	"fmt"
	"io"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"
)

// hidden stands for the value of a secret.
const hidden = "(hidden)"

// dump writes the effective settings of the chosen command as a configuration file, each with where it comes from.
func dump(w io.Writer, parsed *kong.Context, file string) error {
	flags := slices.Concat(parsed.Selected().AllFlags(true)...)
	slices.SortFunc(flags, func(a, b *kong.Flag) int { return strings.Compare(a.Name, b.Name) })
	document := yaml.Node{Kind: yaml.MappingNode}
	for _, flag := range flags {
		if flag.Tag.Has("once") || flag.Name == "help" {
			continue
		}
		var value yaml.Node
		if err := value.Encode(shown(flag)); err != nil {
			return fmt.Errorf("writing setting %s: %w", flag.Name, err)
		}
		value.LineComment = source(parsed, flag, file)
		key := yaml.Node{Kind: yaml.ScalarNode, Value: flag.Name}
		document.Content = append(document.Content, &key, &value)
	}
	encoder := yaml.NewEncoder(w)
	if err := encoder.Encode(&document); err != nil {
		return fmt.Errorf("writing the configuration: %w", err)
	}
	return encoder.Close()
}

// shown is the flag's value as a person may see it.
func shown(flag *kong.Flag) any {
	if flag.Target.Kind() == reflect.Slice {
		return flag.Target.Interface()
	}
	text := formatValue(flag.Target)
	switch {
	case !flag.Tag.Has("secret") || text == "":
	case strings.Contains(text, "://"):
		return withoutPassword(text)
	default:
		return hidden
	}
	if kind := flag.Target.Kind(); kind == reflect.String || flag.Target.Type() == reflect.TypeFor[time.Duration]() {
		return text
	}
	return flag.Target.Interface()
}

// withoutPassword hides the password of an address, wherever the engine's address may carry it.
func withoutPassword(dsn string) string {
	u, err := url.Parse(dsn)
	if err != nil {
		return hidden
	}
	if _, has := u.User.Password(); has {
		u.User = url.UserPassword(u.User.Username(), "hidden")
	}
	query := u.Query()
	if query.Has("password") {
		query.Set("password", "hidden")
		u.RawQuery = query.Encode()
	}
	return u.String()
}

// source says where a flag's value comes from.
func source(parsed *kong.Context, flag *kong.Flag, file string) string {
	for _, path := range parsed.Path {
		if path.Flag == nil || path.Flag.Value != flag.Value {
			continue
		}
		if path.Resolved {
			return "file " + file
		}
		return "flag"
	}
	if name := environment(flag); name != "" {
		return "environment " + name
	}
	return "default"
}
