package spool

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/aftertouch-io/aftertouch/internal/eventlog"
)

const childDir = "AFTERTOUCH_TEST_SPOOL_DIR"

// TestMain runs the writer that TestAcknowledgedRecordsSurviveKill kills, when it is started as such.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := writeForever(dir, os.Getenv(childDir+"_FROM")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// writeForever appends from several goroutines and prints the number of each record after it was acknowledged.
func writeForever(dir, from string) error {
	first, err := strconv.Atoi(from)
	if err != nil {
		return err
	}
	s, err := Open(Config{Dir: dir, SegmentBytes: 4096}, quiet)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	var group sync.WaitGroup
	for g := range 4 {
		group.Go(func() {
			for i := first + g; ; i += 4 {
				if err := s.Append([]eventlog.Record{record(i)}, time.Now()); err != nil {
					fmt.Fprintln(os.Stderr, err)
					return
				}
				mu.Lock()
				fmt.Println(i)
				mu.Unlock()
			}
		})
	}
	group.Wait()
	return nil
}

func TestAcknowledgedRecordsSurviveKill(t *testing.T) {
	dir := t.TempDir()
	acknowledged := map[string]bool{}
	for round := range 8 {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), childDir+"="+dir, fmt.Sprintf("%s_FROM=%d", childDir, round*1_000_000))
		child.Stderr = os.Stderr
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		stop := 20 + rand.IntN(100)
		for n := 0; n < stop && lines.Scan(); n++ {
			acknowledged["value-"+lines.Text()] = true
		}
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() { // acknowledged before the kill, read after it
			acknowledged["value-"+lines.Text()] = true
		}
		_ = child.Wait() // it was killed
	}
	s := open(t, Config{Dir: dir})
	counted := map[string]int{}
	for _, v := range valuesOf(drain(t, s)) {
		counted[v]++
	}
	for v := range acknowledged {
		if counted[v] != 1 {
			t.Errorf("%s was acknowledged and is there %d times", v, counted[v])
		}
	}
	if len(acknowledged) < 8*20 {
		t.Errorf("only %d records were acknowledged: the test tests too little", len(acknowledged))
	}
	if left := files(t, s, "*.damaged"); len(left) != 0 {
		t.Errorf("kill left damage: %v", left)
	}
}
