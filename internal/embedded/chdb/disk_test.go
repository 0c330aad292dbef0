package chdb_test

import (
	"testing"
	"time"

	"github.com/aftertouch-io/aftertouch/internal/embedded/chdb"
)

// A part written to a full disk was seen to be put into place with empty files, so the engine must stop before the disk is full.
func TestTheEngineKeepsAPartOfTheDiskFree(t *testing.T) {
	conn := openDSN(t, engine(t).DSN())
	var keep uint64
	must(t, conn.QueryRow(within(t, time.Minute), "SELECT keep_free_space FROM system.disks WHERE name = 'default'").Scan(&keep))
	if want := uint64(chdb.Default().KeepFree); keep != want || want == 0 {
		t.Errorf("%d bytes are kept free, want %d", keep, want)
	}
}
