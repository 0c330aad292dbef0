package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/aftertouch-io/aftertouch/internal/privacy"
	"github.com/aftertouch-io/aftertouch/internal/run"
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
}

func defaultAll() allCmd {
	return allCmd{
		Run: run.Default(), DataDir: "data", Engine: defaultEngine(),
		Topics: topicSettings{Partitions: defaultPartitions, EventsRetention: embeddedRetention},
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
	return errors.Join(append(errs, c.Run.Validate(), c.Kafka.validate(), c.Topics.settings().Validate(), c.ClickHouse.validate(), c.Bootstrap.validate())...)
}

func (c *allCmd) masterKeyFile() string {
	if c.MasterKeyFile != "" {
		return c.MasterKeyFile
	}
	return filepath.Join(c.DataDir, "master.key")
}

func (c *allCmd) run(ctx context.Context, p *program) (err error) {
	master, err := privacy.ReadOrMakeMasterKey(c.masterKeyFile())
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
	base, err := startBase(s, e.kafka, master)
	if err != nil {
		return err
	}
	if err := base.bootstrap(s, p, c.Topics, c.Bootstrap); err != nil {
		return err
	}
	return s.serve()
}
