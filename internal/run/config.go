package run

import (
	"errors"
	"fmt"
	"net"
	"time"
)

// Config holds the ports and the time to stop in.
type Config struct {
	// HTTPAddr is where HTTP is served. Default :8080; port 0 takes any free one.
	HTTPAddr string `name:"http-addr" help:"Address to serve HTTP on."`
	// GRPCAddr is where gRPC is served. Default :9090; port 0 takes any free one.
	GRPCAddr string `name:"grpc-addr" help:"Address to serve gRPC on."`
	// PprofAddr is where profiles are served; empty, the default, serves none. Only loopback addresses are taken.
	PprofAddr string `name:"pprof-addr" help:"Loopback address to serve profiles on, such as 127.0.0.1:6060; empty for none."`
	// DrainDelay is how long /ready says 503 before the ports close, so that load balancers notice. Default 0.
	DrainDelay time.Duration `name:"drain-delay" help:"How long /ready says 503 before the ports close on SIGTERM."`
	// DrainTimeout is the time to stop in, DrainDelay included; the container's grace period must be longer. Default 25 s.
	DrainTimeout time.Duration `name:"drain-timeout" help:"Time in which everything must have stopped after SIGTERM."`
}

// Default returns the configuration of one process on a machine of its own.
func Default() Config {
	return Config{HTTPAddr: ":8080", GRPCAddr: ":9090", DrainTimeout: 25 * time.Second}
}

// Validate returns every fault of the configuration, joined.
func (c Config) Validate() error {
	var errs []error
	for _, a := range []struct{ name, addr string }{{"http-addr", c.HTTPAddr}, {"grpc-addr", c.GRPCAddr}} {
		if _, _, err := net.SplitHostPort(a.addr); err != nil {
			errs = append(errs, fmt.Errorf("%s is %q: use HOST:PORT or :PORT", a.name, a.addr))
		}
	}
	if c.PprofAddr != "" && !isLoopback(c.PprofAddr) {
		errs = append(errs, fmt.Errorf("pprof-addr is %q: profiles show memory, use a loopback address such as 127.0.0.1:6060", c.PprofAddr))
	}
	if c.DrainTimeout < time.Second || c.DrainTimeout > 10*time.Minute {
		errs = append(errs, fmt.Errorf("drain-timeout is %s: use 1s to 10m", c.DrainTimeout))
	}
	if c.DrainDelay < 0 || c.DrainDelay >= c.DrainTimeout {
		errs = append(errs, fmt.Errorf("drain-delay is %s: use at least 0s and less than drain-timeout (%s)", c.DrainDelay, c.DrainTimeout))
	}
	return errors.Join(errs...)
}

func isLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}
