package chdb_test

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
)

// residentKB is the process's resident memory. Only Linux tells.
func residentKB(t testing.TB) (kb int) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("no /proc here")
	}
	status, err := os.ReadFile("/proc/self/status")
	must(t, err)
	for line := range strings.Lines(string(status)) {
		if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &kb); err == nil {
			return kb
		}
	}
	t.Fatal("no VmRSS")
	return 0
}
