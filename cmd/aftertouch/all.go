package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/aftertouch-io/aftertouch/internal/eventlog"
	"github.com/aftertouch-io/aftertouch/internal/privacy"
	"github.com/aftertouch-io/aftertouch/internal/run"
	"github.com/aftertouch-io/aftertouch/services/collector"
)

// allCmd runs every service in one process, on embedded engines where no servers are named.
type allCmd struct {
	Run           run.Config         `embed:""`
	DataDir       string             `name:"data-dir" help:"Directory of everything that is kept."`
	MasterKeyFile string             `name:"master-key-file" help:"File of the key that seals the workspaces' keys; default DATA-DIR/master.key, made once." placeholder:"FILE"`
	Kafka         kafkaSettings      `embed:"" prefix:"kafka-"`
	Topics        topicSettings      `embed:""`
	ClickHouse    clickHouseSettings `embed:"" prefix:"clickhouse-"`
	Engine        engineSettings     `embed:"" prefix:"chdb-"`
	Bootstrap     bootstrapSettings  `embed:"" prefix:"bootstrap-"`
	Partitions    int                `help:"Partitions of the events topic; fixed once it exists."`
	Collector     collector.Config   `embed:"" prefix:"collector-"`
	Attributor    attributorSettings `embed:""`
	API           apiSettings        `embed:""`
}

func defaultAll() allCmd {
	return allCmd{
		Run: run.Default(), DataDir: "data", Engine: defaultEngine(), Partitions: defaultPartitions,
		Collector: collector.Default(), Attributor: defaultAttributor(), API: defaultAPI(),
	}
}

func (c *allCmd) validate() error {
	var errs []error
	if c.DataDir == "" {
		errs = append(errs, errors.New("data-dir is empty: name a directory"))
	}
	if c.ClickHouse.DSN == "" && c.DataDir != "" {
		errs = append(errs, c.Engine.config(c.DataDir).Validate())
	}
	return errors.Join(append(errs, c.Run.Validate(), c.Kafka.validate(), c.topics().Validate(), c.ClickHouse.validate(),
		c.Bootstrap.validate(), inCollectorFlags(spoolIn(c.Collector, c.DataDir).Validate()), c.API.validate(), c.Attributor.in(c.DataDir).validate())...)
}

func (c *allCmd) topics() eventlog.TopicSettings {
	return c.Topics.settings(c.Partitions, len(c.Kafka.Brokers) == 0)
}

func (c *allCmd) masterKeyFile() string {
	if c.MasterKeyFile != "" {
		return c.MasterKeyFile
	}
	return filepath.Join(c.DataDir, "master.key")
}

func (c *allCmd) run(ctx context.Context, p *program) (err error) {
	open := privacy.ReadOrMakeMasterKey
	if _, err := os.Stat(filepath.Join(c.DataDir, "kafka")); err == nil {
		open = privacy.ReadMasterKey // the registry there was sealed under a key that must be brought back; another one would not do
	}
	master, err := open(c.masterKeyFile())
	if err != nil {
		return fmt.Errorf("opening master-key-file: %w", err)
	}
	s, err := newProcess(ctx, p, c.Run)
	if err != nil {
		return err
	}
	e, err := c.openEngines(ctx, s.log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.close()) }()
	if err := c.start(s, p, e, master); err != nil {
		return s.Stop(err)
	}
	return s.Wait()
}

// start brings up the services in the order in which they depend on each other.
func (c *allCmd) start(s *process, p *program, e *engines, master *privacy.MasterKey) error {
	b, err := newBase(s, e.kafka, master)
	if err != nil {
		return err
	}
	if err := b.openTables(s, e.dsn, c.ClickHouse, migrateTables(c.ClickHouse)); err != nil {
		return err
	}
	keys, err := b.bootstrap(s, c.topics(), c.Bootstrap)
	if err != nil {
		return err
	}
	// At once: they are stored as hashes only, and a later failure, such as a port in use, must not swallow them.
	if err := c.Bootstrap.printKeys(p, keys); err != nil {
		return err
	}
	if err := b.openWriter(s); err != nil {
		return err
	}
	// Readiness does not wait for the attributor: collecting goes on while it catches up.
	if _, err := startAttributor(s, b, c.Attributor.in(c.DataDir)); err != nil {
		return err
	}
	if err := startCollector(s, b, spoolIn(c.Collector, c.DataDir)); err != nil {
		return err
	}
	if err := startAPI(s, b, c.API); err != nil {
		return err
	}
	return s.serve()
}
