package replay

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// ErrFileChanged reports that the file is not the one that an earlier replay remembers.
var ErrFileChanged = errors.New("the file has changed since its replay was interrupted; replay it from the start with --restart")

// Refused is a line that was not accepted.
type Refused struct {
	// Line is counted from 1.
	Line    int64  `json:"line"`
	EventID string `json:"event_id,omitempty"`
	Reason  string `json:"reason"`
	Detail  string `json:"detail,omitempty"`
}

// Progress is what has been acknowledged, in file order.
type Progress struct {
	// Head identifies the file: SHA-256 of its first 64 KiB.
	Head string `json:"head"`
	// Offset is the byte at which to go on, NextLine the number of the line there, from 1.
	Offset   int64 `json:"offset"`
	NextLine int64 `json:"next_line"`
	Accepted int64 `json:"accepted"`
	// Refused counts lines by reason.
	Refused map[string]int64 `json:"refused"`
	// ListBytes is the length of the list of refused lines.
	ListBytes int64 `json:"list_bytes"`
}

// RefusedLines is the number of lines that were refused.
func (p Progress) RefusedLines() (n int64) {
	for _, k := range p.Refused {
		n += k
	}
	return n
}

func progressPath(file string) string { return file + ".progress" }

// RefusedPath is where the refused lines of a file are listed, one JSON object a line.
func RefusedPath(file string) string { return file + ".refused" }

// loadProgress returns what is remembered of the open file; a fresh start when nothing is.
func loadProgress(f *os.File, restart bool) (Progress, error) {
	head := sha256.New()
	if _, err := io.Copy(head, io.LimitReader(f, 64<<10)); err != nil {
		return Progress{}, fmt.Errorf("reading %s: %w", f.Name(), err)
	}
	fresh := Progress{Head: hex.EncodeToString(head.Sum(nil)), NextLine: 1, Refused: map[string]int64{}}
	if restart {
		return fresh, nil
	}
	b, err := os.ReadFile(progressPath(f.Name()))
	if errors.Is(err, fs.ErrNotExist) {
		return fresh, nil
	}
	if err != nil {
		return Progress{}, fmt.Errorf("reading the progress: %w", err)
	}
	p := fresh
	if err := json.Unmarshal(b, &p); err != nil {
		return Progress{}, fmt.Errorf("reading %s (remove it to replay from the start): %w", progressPath(f.Name()), err)
	}
	if p.Head != fresh.Head {
		return Progress{}, ErrFileChanged
	}
	return p, nil
}

// save replaces the remembered progress; a crash leaves the old or the new one.
func (p Progress) save(file string) error {
	b, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("encoding the progress: %w", err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".progress-*")
	if err != nil {
		return fmt.Errorf("saving the progress: %w", err)
	}
	_, err = tmp.Write(b)
	if err := errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return errors.Join(fmt.Errorf("saving the progress: %w", err), os.Remove(tmp.Name()))
	}
	if err := os.Rename(tmp.Name(), progressPath(file)); err != nil {
		return fmt.Errorf("saving the progress: %w", err)
	}
	return nil
}
