package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/aftertouch-io/aftertouch/services/collector"
)

// collectorCmd takes events.
type collectorCmd struct {
	serviceSettings `embed:""`
	DataDir         string           `name:"data-dir" help:"Directory of the spool; keep it between starts."`
	Collector       collector.Config `embed:"" prefix:"collector-"`
}

func defaultCollectorCmd() collectorCmd {
	return collectorCmd{serviceSettings: defaultService(), DataDir: "data", Collector: collector.Default()}
}

func (c *collectorCmd) validate() error {
	return errors.Join(c.serviceSettings.validate(), inCollectorFlags(spoolIn(c.Collector, c.DataDir).Validate()))
}

func (c *collectorCmd) run(ctx context.Context, p *program) error {
	return c.serve(ctx, p, func(s *process, b *base) error {
		if err := b.openWriter(s); err != nil {
			return err
		}
		return startCollector(s, b, spoolIn(c.Collector, c.DataDir))
	})
}

// spoolIn puts the spool in the data directory unless it has one of its own.
func spoolIn(c collector.Config, dataDir string) collector.Config {
	if c.SpoolDir == "" && dataDir != "" {
		c.SpoolDir = filepath.Join(dataDir, "spool")
	}
	return c
}

// inCollectorFlags says which flags an error of the collector's configuration speaks of.
func inCollectorFlags(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("collector-...: %w", err)
}

// startCollector begins to take events.
func startCollector(s *process, b *base, config collector.Config) error {
	c, err := collector.New(config, collector.Deps{Registry: b.view, Log: b.writer, Registerer: s.metrics, Logger: s.log})
	if err != nil {
		return err
	}
	c.RegisterGRPC(s.grpc)
	c.RegisterHTTP(s.mux)
	s.readiness.OnDrain(c.Drain)
	s.Start("collector", c.Run)
	return nil
}
