package collector

import (
	"fmt"
	"os"
	"testing"
)

// worldDir is where the shared broker keeps its log.
var worldDir string

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "collector-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	worldDir = dir
	return m.Run()
}
