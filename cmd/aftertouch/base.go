package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/aftertouch-io/aftertouch/internal/eventlog"
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

// base is what every service stands on: the brokers and the registry, materialised in this process.
type base struct {
	kafka *eventlog.Client
	view  *registry.View
	store *registry.Store
}

// startBase begins to read the registry.
func startBase(s *process, kafka *eventlog.Client, master *privacy.MasterKey) (*base, error) {
	view, err := registry.NewView(kafka, master, s.metrics, s.log)
	if err != nil {
		return nil, fmt.Errorf("preparing the registry: %w", err)
	}
	s.readiness.Add("registry", func() error {
		if !view.Ready() {
			return errors.New("catching up with the registry topic")
		}
		return nil
	})
	return &base{kafka: kafka, view: view, store: registry.NewStore(kafka, view, master)}, nil
}

// bootstrap makes or compares the topics, and gives an empty registry its first workspace, whose keys it prints once.
func (b *base) bootstrap(s *process, p *program, topics topicSettings, given bootstrapSettings) error {
	if err := eventlog.EnsureTopics(s.Context(), b.kafka, topics.settings()); err != nil {
		return fmt.Errorf("preparing the topics: %w", err)
	}
	s.Start("registry view", b.view.Run)
	keys, err := registry.Bootstrap(s.Context(), b.store, registry.BootstrapOptions{
		Partitions: topics.Partitions, AdminKey: given.AdminKey, WebKey: given.WebKey,
	})
	if err != nil {
		return fmt.Errorf("preparing the registry: %w", err)
	}
	return keysNote(p, keys, given)
}

// keysNote prints the keys of a workspace that was made just now. Keys that were given are not repeated.
func keysNote(p *program, keys registry.BootstrapKeys, given bootstrapSettings) error {
	if keys.Workspace == "" {
		return nil
	}
	var text strings.Builder
	fmt.Fprintf(&text, "Made the workspace %q. Its keys are shown this once:\n", keys.Workspace)
	for _, k := range []struct{ name, key, given string }{
		{"admin key", keys.AdminKey, given.AdminKey}, {"web key", keys.WebKey, given.WebKey},
	} {
		if k.given != "" {
			k.key = "(as given)"
		}
		fmt.Fprintf(&text, "  %-10s %s\n", k.name, k.key)
	}
	_, err := fmt.Fprint(p.out, text.String())
	return err
}
