package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"

	"github.com/aftertouch-io/aftertouch/internal/embedded/broker"
	"github.com/aftertouch-io/aftertouch/internal/embedded/chdb"
	"github.com/aftertouch-io/aftertouch/internal/eventlog"
)

// database is the ClickHouse database of the tables, wherever the DSN names none.
const database = "aftertouch"

// clickHouseSettings say how to reach ClickHouse.
type clickHouseSettings struct {
	DSN     string `name:"dsn" help:"ClickHouse address, clickhouse://USER:PASSWORD@HOST:9000/aftertouch." secret:"" placeholder:"DSN"`
	Cluster string `help:"Cluster to make the tables on; empty for one server."`
	// Replicated must be said apart: a cluster of shards without replicas has plain tables.
	Replicated bool `help:"Make replicated tables and insert with a quorum."`
}

func (c clickHouseSettings) validate() error {
	var errs []error
	if c.DSN != "" {
		u, err := url.Parse(c.DSN)
		if err != nil || u.Host == "" {
			errs = append(errs, errors.New("clickhouse-dsn is no address: use clickhouse://USER:PASSWORD@HOST:9000/aftertouch"))
		}
	}
	return errors.Join(errs...)
}

// engineSettings shape the ClickHouse engine in the process.
type engineSettings struct {
	Lib       string `help:"Path of libchdb.so; empty for the one that make engine brought."`
	Addr      string `help:"Loopback address of the engine's endpoint."`
	MaxMemory int64  `name:"max-memory" help:"Bytes that the engine may allocate; 0 for half of the machine's memory."`
	LogLevel  string `name:"log-level" help:"Level of the engine's own log on stderr: none, fatal, error, warning, information, debug or trace."`
}

func (e engineSettings) config(dir string) chdb.Config {
	c := chdb.Default()
	c.Lib, c.Dir, c.Addr, c.MaxMemory, c.LogLevel = e.Lib, filepath.Join(dir, "clickhouse"), e.Addr, e.MaxMemory, e.LogLevel
	return c
}

func defaultEngine() engineSettings {
	d := chdb.Default()
	return engineSettings{Addr: d.Addr, MaxMemory: d.MaxMemory, LogLevel: d.LogLevel}
}

// engines are the log and the tables, in this process or elsewhere.
type engines struct {
	kafka   *eventlog.Client
	dsn     string
	brokers []string
	closers []func() error
}

// openEngines reaches the servers that are configured, and starts an embedded engine for each that is not.
func (c *allCmd) openEngines(ctx context.Context, log *slog.Logger) (_ *engines, err error) {
	e := &engines{dsn: c.ClickHouse.DSN}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.close())
		}
	}()
	kafka := c.Kafka
	if len(kafka.Brokers) == 0 {
		b, err := broker.Open(broker.Config{Dir: filepath.Join(c.DataDir, "kafka")}, log)
		if err != nil {
			return nil, fmt.Errorf("starting the embedded broker in %s (or name servers with --kafka-brokers): %w", c.DataDir, err)
		}
		e.closers = append(e.closers, b.Close)
		kafka.Brokers = b.Addrs()
	}
	if e.kafka, err = kafka.client(); err != nil {
		return nil, fmt.Errorf("preparing the connection to Kafka: %w", err)
	}
	e.brokers = kafka.Brokers
	if e.dsn == "" {
		engine, err := chdb.Open(ctx, c.Engine.config(c.DataDir), log)
		if err != nil {
			return nil, fmt.Errorf("starting the embedded ClickHouse engine in %s (or name a server with --clickhouse-dsn): %w", c.DataDir, err)
		}
		e.closers = append(e.closers, engine.Close)
		e.dsn = engine.DatabaseDSN(database)
	}
	return e, nil
}

// close ends the engines, the last opened first.
func (e *engines) close() error {
	var errs []error
	if e.kafka != nil {
		e.kafka.Close()
	}
	for i := len(e.closers) - 1; i >= 0; i-- {
		errs = append(errs, e.closers[i]())
	}
	return errors.Join(errs...)
}
