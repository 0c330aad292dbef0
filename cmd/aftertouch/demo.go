package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/aftertouch-io/aftertouch/internal/demo"
	"github.com/aftertouch-io/aftertouch/internal/privacy"
)

const (
	demoStartTimeout = 90 * time.Second
	demoPollEvery    = 100 * time.Millisecond
)

// demoCmd runs everything in one process, sends a world whose truth is known through its public interfaces, prints what was
// measured beside the truth, and goes on serving.
type demoCmd struct {
	All    allCmd `embed:""`
	People int    `help:"People of the demo's world, 100 to 100000."`
	Seed   uint64 `help:"Seed of the world: the same seed makes the same people."`
	Once   bool   `help:"End after printing the reports."`
}

func defaultDemo() demoCmd {
	c := demoCmd{All: defaultAll(), People: 3000, Seed: 1}
	c.All.DataDir = ""
	return c
}

func (c *demoCmd) validate() error {
	var errs []error
	if c.People < 100 || c.People > 100_000 {
		errs = append(errs, fmt.Errorf("people: %d is not from 100 to 100000", c.People))
	}
	all := c.All
	if all.DataDir == "" {
		all.DataDir = os.TempDir()
	}
	return errors.Join(append(errs, all.validate())...)
}

func (c *demoCmd) run(ctx context.Context, p *program) (err error) {
	if c.All.DataDir == "" {
		if c.All.DataDir, err = os.MkdirTemp("", "aftertouch-demo-"); err != nil {
			return fmt.Errorf("making a directory for the demo: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(c.All.DataDir)) }()
	}
	c.makeKeys()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return c.All.run(ctx, p) })
	g.Go(func() error {
		if err := c.show(ctx, p); err != nil {
			return err
		}
		if c.Once {
			stop()
		}
		return nil
	})
	return g.Wait()
}

// makeKeys makes the keys that were not given: the demo must know them to use them.
func (c *demoCmd) makeKeys() {
	keys := &c.All.Bootstrap
	if keys.AdminKey == "" {
		keys.AdminKey = privacy.NewAPIKey(privacy.SecretKeyPrefix)
	}
	if keys.WebKey == "" {
		keys.WebKey = privacy.NewAPIKey(privacy.WebKeyPrefix)
	}
}

// show drives the demo against the server of this process, over the network like anybody else.
func (c *demoCmd) show(ctx context.Context, p *program) error {
	target := demo.Target{
		HTTP: "http://" + dialable(c.All.Run.HTTPAddr), GRPC: dialable(c.All.Run.GRPCAddr),
		WebKey: c.All.Bootstrap.WebKey, AdminKey: c.All.Bootstrap.AdminKey,
	}
	if err := awaitReady(ctx, target.HTTP); err != nil {
		return err
	}
	fmt.Fprintf(p.out, "Aftertouch runs at %s (gRPC %s). Sending %d people through it.\n", target.HTTP, target.GRPC, c.People)
	if err := demo.Run(ctx, target, demo.DefaultPlan(c.Seed, c.People, time.Now()), p.out); err != nil {
		return fmt.Errorf("running the demo: %w", err)
	}
	_, err := fmt.Fprintf(p.out, `The server goes on until you press Ctrl-C. Try:
  curl -s '%[1]s/v1/reports/performance?format=csv' -H 'Authorization: Bearer %[2]s'
  curl -s -o /dev/null -D - '%[1]s/v1/pixel.gif?key=%[3]s&placement=alma-post&visitor_id=you'
  curl -s '%[1]s/v1/reports/exposure?creator=alma&action=purchase' -H 'Authorization: Bearer %[2]s'
web key   %[3]s
admin key %[2]s
`, target.HTTP, target.AdminKey, target.WebKey)
	return err
}

// dialable turns an address that is listened on into one that can be called from this machine.
func dialable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || (host != "" && host != "0.0.0.0" && host != "::") {
		return addr
	}
	return net.JoinHostPort("127.0.0.1", port)
}

func awaitReady(ctx context.Context, base string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, demoStartTimeout, errors.New("the server is not ready"))
	defer cancel()
	tick := time.NewTicker(demoPollEvery)
	defer tick.Stop()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/ready", nil)
		if err != nil {
			return fmt.Errorf("asking %s: %w", base, err)
		}
		if response, err := http.DefaultClient.Do(request); err == nil {
			if err := response.Body.Close(); err == nil && response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
