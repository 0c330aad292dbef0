package run

import (
	"strings"
	"testing"
	"time"
)

func TestConfigNamesEveryFaultAndItsRemedy(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Fatalf("the default is refused: %v", err)
	}
	c := Config{HTTPAddr: "8080", GRPCAddr: "", PprofAddr: "0.0.0.0:6060", DrainTimeout: time.Millisecond, DrainDelay: time.Second}
	err := c.Validate()
	if err == nil {
		t.Fatal("accepted a configuration with five faults")
	}
	for _, want := range []string{"http-addr", "grpc-addr", "pprof-addr", "drain-timeout is", "drain-delay is", "127.0.0.1:6060"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error does not say %q: %v", want, err)
		}
	}
}

func TestConfigTakesOnlyLoopbackForProfiles(t *testing.T) {
	for addr, ok := range map[string]bool{"": true, "127.0.0.1:0": true, "[::1]:6060": true, "localhost:1": true, ":6060": false, "10.0.0.1:6060": false} {
		c := Default()
		c.PprofAddr = addr
		if err := c.Validate(); (err == nil) != ok {
			t.Errorf("pprof-addr %q: %v, want accepted %v", addr, err, ok)
		}
	}
}
