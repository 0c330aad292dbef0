package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/aftertouch-io/aftertouch/internal/privacy"
	"github.com/aftertouch-io/aftertouch/internal/run"
)

// serviceSettings are those of every service that runs in a process of its own.
type serviceSettings struct {
	Run           run.Config    `embed:""`
	MasterKeyFile string        `name:"master-key-file" help:"File of the key that seals the workspaces' keys; the same for every process." placeholder:"FILE"`
	Kafka         kafkaSettings `embed:"" prefix:"kafka-"`
	Topics        topicSettings `embed:""`
}

func defaultService() serviceSettings { return serviceSettings{Run: run.Default()} }

func (c serviceSettings) validate() error {
	return errors.Join(c.Run.Validate(), needServers(c.MasterKeyFile, c.Kafka), c.Kafka.validate(),
		c.Topics.settings(defaultPartitions, false).Validate())
}

// needServers reports what a service cannot do without.
func needServers(masterKeyFile string, k kafkaSettings) error {
	var errs []error
	if masterKeyFile == "" {
		errs = append(errs, errors.New("master-key-file is empty: name the file that aftertouch migrate was given"))
	}
	if len(k.Brokers) == 0 {
		errs = append(errs, errors.New("kafka-brokers is empty: name the brokers, or use aftertouch all for embedded engines"))
	}
	return errors.Join(errs...)
}

func (c clickHouseSettings) needed() error {
	if c.DSN == "" {
		return errors.New("clickhouse-dsn is empty: name the server, clickhouse://USER:PASSWORD@HOST:9000/aftertouch")
	}
	return nil
}

// serve reads the registry, lets start add the command's services, and answers until ctx ends.
func (c serviceSettings) serve(ctx context.Context, p *program, start func(*process, *base) error) error {
	master, err := privacy.ReadMasterKey(c.MasterKeyFile)
	if err != nil {
		return fmt.Errorf("opening master-key-file: %w", err)
	}
	kafka, err := c.Kafka.client()
	if err != nil {
		return fmt.Errorf("preparing the connection to Kafka: %w", err)
	}
	defer kafka.Close()
	s, err := newProcess(ctx, p, c.Run)
	if err != nil {
		return err
	}
	b, err := newBase(s, kafka, master)
	if err != nil {
		return err
	}
	for _, step := range []func() error{
		func() error { return b.join(s, c.Topics) },
		func() error { return start(s, b) },
		s.serve,
	} {
		if err := step(); err != nil {
			return s.Stop(err)
		}
	}
	return s.Wait()
}
