// Command composecheck validates a compose file as `docker compose config` does, for machines without that plugin: it loads the
// file with the library that docker compose itself is made with.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/compose-spec/compose-go/v2/cli"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: composecheck FILE")
		os.Exit(2)
	}
	if err := check(context.Background(), os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "composecheck:", err)
		os.Exit(1)
	}
}

func check(ctx context.Context, path string) error {
	options, err := cli.NewProjectOptions([]string{path}, cli.WithName("aftertouch"), cli.WithOsEnv, cli.WithProfiles([]string{"*"}))
	if err != nil {
		return fmt.Errorf("preparing to load %s: %w", path, err)
	}
	project, err := options.LoadProject(ctx)
	if err != nil {
		return fmt.Errorf("loading %s: %w", path, err)
	}
	fmt.Printf("%s: valid, %d services: %v\n", path, len(project.Services), project.ServiceNames())
	return nil
}
