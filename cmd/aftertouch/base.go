package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aftertouch-io/aftertouch/internal/eventlog"
	"github.com/aftertouch-io/aftertouch/internal/privacy"
	"github.com/aftertouch-io/aftertouch/internal/registry"
	"github.com/aftertouch-io/aftertouch/internal/store"
)

// flushTimeout bounds the sending of what was enqueued when the process stops.
const flushTimeout = 10 * time.Second

// base is what the services stand on. One process has one of each.
type base struct {
	kafka    *eventlog.Client
	view     *registry.View
	registry *registry.Store
	epoch    eventlog.EpochInfo
	writer   *eventlog.Writer
	tables   *store.Store
}

// newBase prepares the reading of the registry.
func newBase(s *process, kafka *eventlog.Client, master *privacy.MasterKey) (*base, error) {
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
	return &base{kafka: kafka, view: view, registry: registry.NewStore(kafka, view, master)}, nil
}

// bootstrap makes or compares the topics, starts to read the registry, and gives an empty one its epoch and first workspace.
func (b *base) bootstrap(s *process, topics eventlog.TopicSettings, given bootstrapSettings) (registry.BootstrapKeys, error) {
	if err := eventlog.EnsureTopics(s.Context(), b.kafka, topics); err != nil {
		return registry.BootstrapKeys{}, fmt.Errorf("preparing the topics (--kafka-brokers): %w", err)
	}
	s.Start("registry view", b.view.Run)
	keys, err := registry.Bootstrap(s.Context(), b.registry, registry.BootstrapOptions{
		Partitions: topics.Partitions, AdminKey: given.AdminKey, WebKey: given.WebKey,
	})
	if err != nil {
		return keys, fmt.Errorf("preparing the registry: %w", err)
	}
	b.epoch, _ = b.view.Epoch()
	return keys, nil
}

// join starts to read a registry that somebody else has made, waits for its epoch, and compares the topics with the settings.
func (b *base) join(s *process, topics topicSettings) error {
	s.Start("registry view", b.view.Run)
	if err := b.view.WaitReady(s.Context()); err != nil {
		return fmt.Errorf("reading the registry: %w", err)
	}
	if _, ok := b.view.Epoch(); !ok {
		s.log.Info("waiting for the registry's first epoch; aftertouch migrate makes it")
	}
	var err error
	if b.epoch, err = b.view.WaitEpoch(s.Context()); err != nil {
		return err
	}
	if err := eventlog.EnsureTopics(s.Context(), b.kafka, topics.settings(b.epoch.Partitions, false)); err != nil {
		return fmt.Errorf("comparing the topics: %w", err)
	}
	return nil
}

// openWriter opens the log for appending; what was enqueued is sent before the process ends.
func (b *base) openWriter(s *process) (err error) {
	b.writer, err = eventlog.NewWriter(b.kafka, eventlog.WriterConfig{Epoch: b.epoch}, s.metrics, s.log)
	if err != nil {
		return fmt.Errorf("opening the log for writing: %w", err)
	}
	s.Start("log writer", func(ctx context.Context) error {
		<-ctx.Done()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
		defer cancel()
		return b.writer.Close(ctx)
	})
	return nil
}

// logEnds returns the next offset of each partition of the epoch's topic.
func (b *base) logEnds(ctx context.Context) (map[int32]int64, error) {
	ends := make(map[int32]int64, b.epoch.Partitions)
	for id := range b.epoch.Partitions {
		_, end, err := b.kafka.Partition(b.epoch.Topic, id, b.epoch.ID).Range(ctx)
		if err != nil {
			return nil, fmt.Errorf("reading the end of partition %d: %w", id, err)
		}
		ends[int32(id)] = end
	}
	return ends, nil
}

// openTables connects to ClickHouse; the connection ends with the process. Call ready to check or make the schema.
func (b *base) openTables(s *process, dsn string, c clickHouseSettings, ready func(context.Context, *store.Store) error) (err error) {
	config := store.Default()
	config.Quorum, config.Logger, config.Registerer = c.Replicated, s.log, s.metrics
	if b.tables, err = store.Open(s.Context(), dsn, config); err != nil {
		return fmt.Errorf("opening the tables (--clickhouse-dsn): %w", err)
	}
	s.Start("clickhouse connection", func(ctx context.Context) error {
		<-ctx.Done()
		return b.tables.Close()
	})
	return ready(s.Context(), b.tables)
}

// migrateTables returns what makes the schema as configured.
func migrateTables(c clickHouseSettings) func(context.Context, *store.Store) error {
	return func(ctx context.Context, tables *store.Store) error {
		if err := tables.Migrate(ctx, store.MigrateOptions{Cluster: c.Cluster, Replicated: c.Replicated}); err != nil {
			return fmt.Errorf("preparing the tables: %w", err)
		}
		return nil
	}
}

// checkTables waits for the schema that this build needs: `aftertouch migrate` makes it.
func checkTables(ctx context.Context, tables *store.Store) error { return tables.CheckSchema(ctx) }
