package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/event"
	"github.com/aftertouch-io/aftertouch/internal/registry"
)

// Config of the service.
type Config struct {
	// WriteTimeout bounds a write, from the append to the reading back. Default 15 s.
	WriteTimeout time.Duration `help:"How long a change of the registry may take until it is durable and read back."`
}

// Default returns the configuration that holds where nothing is said.
func Default() Config { return Config{WriteTimeout: 15 * time.Second} }

// Validate reports everything that is wrong.
func (c Config) Validate() error {
	if c.WriteTimeout < 100*time.Millisecond {
		return fmt.Errorf("registry write timeout: %s is less than 100ms", c.WriteTimeout)
	}
	return nil
}

// Service implements RegistryService.
type Service struct {
	aftertouchv1.UnimplementedRegistryServiceServer

	cfg    Config
	store  *registry.Store
	view   *registry.View
	log    *slog.Logger
	writes *prometheus.CounterVec
}

// New makes the service. The store's view must be running when calls arrive.
func New(cfg Config, store *registry.Store, reg prometheus.Registerer, log *slog.Logger) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	writes := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "aftertouch_registry_writes_total", Help: "Objects written, by kind and outcome: ok, conflict, refused or failed.",
	}, []string{"kind", "outcome"})
	if err := reg.Register(writes); err != nil {
		return nil, fmt.Errorf("registering metrics of the registry service: %w", err)
	}
	return &Service{cfg: cfg, store: store, view: store.View(), log: log, writes: writes}, nil
}

// RegisterGRPC adds the service to a server.
func (s *Service) RegisterGRPC(g *grpc.Server) { aftertouchv1.RegisterRegistryServiceServer(g, s) }

// authorize returns the call's key and one snapshot for all checks of the call.
func (s *Service) authorize(ctx context.Context, need registry.Scope) (*registry.Key, *registry.Snapshot, error) {
	if !s.view.Ready() {
		return nil, nil, unavailable("the registry is still being read")
	}
	key, err := s.view.AuthorizeGRPC(ctx, need)
	if err != nil {
		return nil, nil, err
	}
	return key, s.view.Snapshot(), nil
}

// governs reports whether the key is of the installation's first workspace with scope admin: those create and see all workspaces.
func governs(key *registry.Key, snap *registry.Snapshot) bool {
	return key.HasScope(registry.ScopeAdmin) && key.Workspace == snap.FirstWorkspace()
}

// target is the version that a call writes.
type target struct {
	workspace string
	kind      registry.Kind
	id        string
	version   uint32
}

// write appends the record and waits until it is known to be the valid one of its version.
func (s *Service) write(ctx context.Context, key *registry.Key, t target, r *aftertouchv1.RegistryRecord) error {
	r.WrittenBy = key.GetKeyId()
	return s.finish(ctx, t, func(ctx context.Context) error { return s.store.Write(ctx, t.workspace, r) })
}

// finish runs a write within the time limit, counts it, and makes its error one for the caller.
func (s *Service) finish(ctx context.Context, t target, write func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.WriteTimeout)
	defer cancel()
	err := write(ctx)
	outcome := "ok"
	switch {
	case err == nil:
	case errors.Is(err, registry.ErrConflict):
		outcome = "conflict"
		err = s.conflict(t)
	case errors.Is(err, registry.ErrRefused):
		outcome = "refused"
		err = s.refused(t)
	default:
		outcome = "failed"
		s.log.Error("registry write failed", "kind", t.kind, "workspace", t.workspace, "error", err)
		err = unavailable("the change may or may not have been written: read it back")
	}
	s.writes.WithLabelValues(string(t.kind), outcome).Inc()
	return err
}

// conflict answers a writer that was not the first: of version 1, the id exists; of a later one, another is present now.
func (s *Service) conflict(t target) error {
	if t.version == 1 {
		return alreadyExists(t.kind, t.id)
	}
	return versionConflict(t.kind, t.id, s.present(s.view.Snapshot(), t))
}

// refused answers a writer whose record another one, written meanwhile, rules out.
func (s *Service) refused(t target) error {
	switch snap := s.view.Snapshot(); {
	case t.kind == registry.KindCampaign && snap.HasAgreement(t.workspace, t.id):
		return campaignFixed(t.id)
	case t.kind == registry.KindLink && t.version == 1:
		return alreadyExists(t.kind, t.id)
	case t.kind == registry.KindKey && t.version == 1:
		return alreadyExists(t.kind, t.id)
	default:
		return versionConflict(t.kind, t.id, s.present(snap, t))
	}
}

// present returns the newest version of the target's object, 0 when there is none.
func (s *Service) present(snap *registry.Snapshot, t target) uint32 {
	o, ok := snap.Object(t.workspace, t.kind, t.id, 0)
	if !ok {
		return 0
	}
	return o.(versioned).GetVersion()
}

type versioned interface {
	GetVersion() uint32
	GetReplacesVersion() uint32
}

// newTarget checks that a new object's id is free. id may be empty: then one is made.
func (s *Service) newTarget(snap *registry.Snapshot, workspace string, kind registry.Kind, id string, in versioned) (target, error) {
	if in.GetReplacesVersion() != 0 {
		return target{}, invalid("replaces_version", "must be 0 to create; to change, name the object in the address or call Change")
	}
	if id == "" {
		id = makeID()
	}
	t := target{workspace, kind, id, 1}
	if s.present(snap, t) != 0 {
		return t, alreadyExists(kind, id)
	}
	return t, nil
}

// nextTarget checks that a changed object exists in the version that the change replaces.
func (s *Service) nextTarget(snap *registry.Snapshot, workspace string, kind registry.Kind, id string, in versioned) (target, error) {
	t := target{workspace: workspace, kind: kind, id: id}
	present := s.present(snap, t)
	switch {
	case present == 0:
		return t, notFound(kind, id)
	case in.GetReplacesVersion() == 0:
		return t, invalid("replaces_version", fmt.Sprintf("is needed: the present version is %d", present))
	case in.GetReplacesVersion() != present:
		return t, versionConflict(kind, id, present)
	}
	t.version = present + 1
	return t, nil
}

// scopeError refuses what another scope would allow.
func scopeError() error { return registry.AuthError(event.WrongScope) }
