package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/aftertouch-io/aftertouch/services/query"
	"github.com/aftertouch-io/aftertouch/services/registry"
)

// apiSettings are those of the services that people and their programs ask: the registry and the reports.
type apiSettings struct {
	Registry registry.Config `embed:"" prefix:"registry-"`
	Query    query.Config    `embed:"" prefix:"query-"`
}

func defaultAPI() apiSettings {
	return apiSettings{Registry: registry.Default(), Query: query.Default()}
}

func (c apiSettings) validate() error {
	return errors.Join(c.Registry.Validate(), c.Query.Validate())
}

// queryCmd answers reports and keeps the registry.
type queryCmd struct {
	serviceSettings `embed:""`
	ClickHouse      clickHouseSettings `embed:"" prefix:"clickhouse-"`
	API             apiSettings        `embed:""`
}

func defaultQueryCmd() queryCmd {
	return queryCmd{serviceSettings: defaultService(), API: defaultAPI()}
}

func (c *queryCmd) validate() error {
	return errors.Join(c.serviceSettings.validate(), c.ClickHouse.needed(), c.ClickHouse.validate(), c.API.validate())
}

func (c *queryCmd) run(ctx context.Context, p *program) error {
	return c.serve(ctx, p, func(s *process, b *base) error {
		if err := b.openTables(s, c.ClickHouse.DSN, c.ClickHouse, checkTables); err != nil {
			return err
		}
		return startAPI(s, b, c.API)
	})
}

// startAPI begins to answer for the registry and the reports, over gRPC and as JSON over HTTP.
func startAPI(s *process, b *base, c apiSettings) error {
	registryService, err := registry.New(c.Registry, b.registry, s.metrics, s.log)
	if err != nil {
		return fmt.Errorf("preparing the registry service: %w", err)
	}
	queryService, err := query.New(c.Query, query.Deps{
		Store: b.tables, Registry: b.view, LogEnds: b.logEnds, Registerer: s.metrics, Logger: s.log,
	})
	if err != nil {
		return fmt.Errorf("preparing the query service: %w", err)
	}
	registryService.RegisterGRPC(s.grpc)
	queryService.RegisterGRPC(s.grpc)
	if err := queryService.RegisterHTTP(s.mux); err != nil {
		return err
	}
	gateway, err := newGateway(s.Context(), s.metrics, registryService)
	if err != nil {
		return err
	}
	s.mux.Handle("/v1/", gateway)
	return nil
}
