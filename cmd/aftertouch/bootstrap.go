package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/aftertouch-io/aftertouch/internal/privacy"
	"github.com/aftertouch-io/aftertouch/internal/registry"
)

// bootstrapSettings are the keys of the first workspace.
type bootstrapSettings struct {
	AdminKey string `name:"admin-key" help:"Admin key of the first workspace; made and printed once when empty." secret:""`
	WebKey   string `name:"web-key" help:"Web key of the first workspace; made and printed once when empty." secret:""`
}

func (b bootstrapSettings) validate() error {
	var errs []error
	for _, k := range []struct{ name, key string }{{"bootstrap-admin-key", b.AdminKey}, {"bootstrap-web-key", b.WebKey}} {
		if k.key == "" {
			continue
		}
		if err := privacy.CheckAPIKey(k.key); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", k.name, err))
		}
	}
	if b.AdminKey != "" && b.AdminKey == b.WebKey {
		errs = append(errs, errors.New("bootstrap-admin-key and bootstrap-web-key are the same: a web key is public"))
	}
	return errors.Join(errs...)
}

// printKeys prints the keys of a workspace that was made just now. Keys that were given are not repeated.
func (b bootstrapSettings) printKeys(p *program, keys registry.BootstrapKeys) error {
	if keys.Workspace == "" {
		return nil
	}
	var text strings.Builder
	fmt.Fprintf(&text, "Made the workspace %q. Its keys are shown this once:\n", keys.Workspace)
	for _, k := range []struct{ name, key, given string }{
		{"admin key", keys.AdminKey, b.AdminKey}, {"web key", keys.WebKey, b.WebKey},
	} {
		if k.given != "" {
			k.key = "(as given)"
		}
		fmt.Fprintf(&text, "  %-10s %s\n", k.name, k.key)
	}
	_, err := fmt.Fprint(p.out, text.String())
	return err
}
