package main

import (
	"context"
	"fmt"
	"runtime"
)

type versionCmd struct{}

func (*versionCmd) validate() error { return nil }

func (*versionCmd) run(_ context.Context, p *program) error {
	_, err := fmt.Fprintf(p.out, "aftertouch %s\ncommit %s\ndate %s\n%s %s/%s\n",
		p.build.Version, p.build.Commit, p.build.Date, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}
