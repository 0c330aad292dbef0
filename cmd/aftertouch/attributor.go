package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/aftertouch-io/aftertouch/internal/eventlog"
	"github.com/aftertouch-io/aftertouch/internal/state"
	"github.com/aftertouch-io/aftertouch/internal/store"
	"github.com/aftertouch-io/aftertouch/services/attributor"
)

// attributorSettings are those of the attributor, its entity state and the derived tables.
type attributorSettings struct {
	Attributor attributor.Config   `embed:"" prefix:"attributor-"`
	State      stateFlags          `embed:"" prefix:"state-"`
	Derive     store.DeriverConfig `embed:"" prefix:"derive-"`
}

// stateFlags is state.Config without its Validate, which kong would call before the directory is known.
type stateFlags state.Config

func defaultAttributor() attributorSettings {
	return attributorSettings{Attributor: attributor.Default(), State: stateFlags(state.Default()), Derive: store.DefaultDeriver()}
}

// in returns the settings with the state in the data directory unless it has one of its own.
func (a attributorSettings) in(dataDir string) attributorSettings {
	if a.State.Dir == "" && dataDir != "" {
		a.State.Dir = filepath.Join(dataDir, "state")
	}
	return a
}

func (a attributorSettings) validate() error {
	stateConfig := state.Config(a.State)
	return errors.Join(a.Attributor.Validate(), stateConfig.Validate(), a.Derive.Validate())
}

// attributorCmd runs one member of the group that shares the log's partitions.
type attributorCmd struct {
	serviceSettings `embed:""`
	DataDir         string             `name:"data-dir" help:"Directory of the entity state; keep it between starts."`
	ClickHouse      clickHouseSettings `embed:"" prefix:"clickhouse-"`
	Settings        attributorSettings `embed:""`
}

func (c *attributorCmd) validate() error {
	return errors.Join(c.serviceSettings.validate(), c.ClickHouse.needed(), c.ClickHouse.validate(), c.Settings.in(c.DataDir).validate())
}

func (c *attributorCmd) run(ctx context.Context, p *program) error {
	return c.serve(ctx, p, func(s *process, b *base) error {
		if err := b.openTables(s, c.ClickHouse.DSN, c.ClickHouse, checkTables); err != nil {
			return err
		}
		if err := b.openWriter(s); err != nil {
			return err
		}
		a, err := startAttributor(s, b, c.Settings.in(c.DataDir))
		if err != nil {
			return err
		}
		s.readiness.Add("attributor", a.Ready)
		return nil
	})
}

// startAttributor begins to apply the log.
func startAttributor(s *process, b *base, c attributorSettings) (*attributor.Attributor, error) {
	deriver, err := store.NewDeriver(b.tables.Conn(), c.Derive, s.metrics, s.log)
	if err != nil {
		return nil, fmt.Errorf("preparing the derived tables: %w", err)
	}
	dir, err := state.NewDir(state.Config(c.State), s.log, s.metrics)
	if err != nil {
		return nil, fmt.Errorf("opening the entity state: %w", err)
	}
	a, err := attributor.New(c.Attributor, attributor.Deps{
		Client: b.kafka, Epoch: b.epoch, Writer: b.writer, DeadLetters: eventlog.NewDeadLetters(b.kafka),
		Registry: attributor.RegistryView(b.view), Sink: b.tables, Stores: attributor.StateDir(dir), Deriver: deriver, Log: s.log, Metrics: s.metrics,
	})
	if err != nil {
		dir.Close()
		return nil, fmt.Errorf("preparing the attributor: %w", err)
	}
	s.Start("attributor", func(ctx context.Context) error {
		defer dir.Close()
		return a.Run(ctx)
	})
	return a, nil
}
