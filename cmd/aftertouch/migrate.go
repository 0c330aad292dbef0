package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/aftertouch-io/aftertouch/internal/privacy"
	"github.com/aftertouch-io/aftertouch/internal/run"
)

// migrateCmd prepares servers for the services: topics, schema, the registry's first epoch and workspace. It may be repeated.
type migrateCmd struct {
	MasterKeyFile string             `name:"master-key-file" help:"File of the key that seals the workspaces' keys." placeholder:"FILE"`
	MakeMasterKey bool               `name:"make-master-key" help:"Make that file when it does not exist; then give it to every service."`
	Partitions    int                `help:"Partitions of the events topic; fixed once it exists."`
	Kafka         kafkaSettings      `embed:"" prefix:"kafka-"`
	Topics        topicSettings      `embed:""`
	ClickHouse    clickHouseSettings `embed:"" prefix:"clickhouse-"`
	Bootstrap     bootstrapSettings  `embed:"" prefix:"bootstrap-"`
}

func defaultMigrate() migrateCmd { return migrateCmd{Partitions: defaultPartitions} }

func (c *migrateCmd) validate() error {
	return errors.Join(needServers(c.MasterKeyFile, c.Kafka), c.Kafka.validate(), c.ClickHouse.needed(), c.ClickHouse.validate(),
		c.Topics.settings(c.Partitions, false).Validate(), c.Bootstrap.validate())
}

func (c *migrateCmd) run(ctx context.Context, p *program) error {
	read := privacy.ReadMasterKey
	if c.MakeMasterKey {
		read = privacy.ReadOrMakeMasterKey
	}
	master, err := read(c.MasterKeyFile)
	if err != nil {
		return fmt.Errorf("opening master-key-file: %w", err)
	}
	s, err := newProcess(ctx, p, run.Default())
	if err != nil {
		return err
	}
	return s.Stop(c.prepare(s, p, master))
}

func (c *migrateCmd) prepare(s *process, p *program, master *privacy.MasterKey) error {
	kafka, err := c.Kafka.client()
	if err != nil {
		return err
	}
	b, err := newBase(s, kafka, master)
	if err != nil {
		return err
	}
	if err := b.openTables(s, c.ClickHouse.DSN, c.ClickHouse, migrateTables(c.ClickHouse)); err != nil {
		return err
	}
	keys, err := b.bootstrap(s, c.Topics.settings(c.Partitions, false), c.Bootstrap)
	if err != nil {
		return err
	}
	s.log.Info("topics, tables and registry are ready", "epoch", b.epoch.Number, "partitions", b.epoch.Partitions)
	return c.Bootstrap.printKeys(p, keys)
}
