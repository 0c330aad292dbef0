package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
	"github.com/aftertouch-io/aftertouch/internal/apijson"
	"github.com/aftertouch-io/aftertouch/internal/replay"
	"github.com/aftertouch-io/aftertouch/internal/telemetry"
)

// progressEvery is how often the bar is drawn.
const progressEvery = 100 * time.Millisecond

// replayCmd sends history to a running collector.
type replayCmd struct {
	File    string         `help:"JSON lines, one event each; stamps may be included." placeholder:"FILE"`
	Client  clientSettings `embed:""`
	Sending sendSettings   `embed:""`
}

// sendSettings are the flags of replay.Config.
type sendSettings struct {
	Batch    int           `help:"Events sent together, 1 to 1000."`
	InFlight int           `name:"in-flight" help:"Batches sent before the first is answered, 1 to 64."`
	Restart  bool          `help:"Start from the first line, whatever an earlier replay of the file has sent."`
	Patience time.Duration `help:"How long to go on trying while the collector is away."`
}

func defaultReplay() replayCmd {
	d := replay.Default()
	return replayCmd{Client: defaultClient(), Sending: sendSettings{Batch: d.Batch, InFlight: d.InFlight, Patience: d.Patience}}
}

func (c *replayCmd) config() replay.Config {
	return replay.Config{
		File: c.File, Batch: c.Sending.Batch, InFlight: c.Sending.InFlight, Restart: c.Sending.Restart, Patience: c.Sending.Patience,
	}
}

func (c *replayCmd) validate() error {
	return errors.Join(c.Client.validate(), c.config().Validate())
}

func (c *replayCmd) run(ctx context.Context, p *program) (err error) {
	conn, ctx, err := c.Client.connect(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	watch, finish := progress(p.err)
	replayer, err := replay.New(c.config(), aftertouchv1.NewCollectorServiceClient(conn), decodeLine, watch, telemetry.NewLogger(p.err, p.log))
	if err != nil {
		return err
	}
	done, err := replayer.Run(ctx)
	finish()
	if err != nil {
		return fmt.Errorf("replaying %s stopped before line %d (run it again to go on there): %w", c.File, max(done.NextLine, 1), err)
	}
	return c.summarise(p.out, done)
}

func decodeLine(line []byte, into *aftertouchv1.Event) error {
	_, err := apijson.Unmarshal(line, into)
	return err
}

// progress shows a bar on a terminal and nothing elsewhere.
func progress(out io.Writer) (watch replay.Watch, finish func()) {
	file, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return func(int64, int64) {}, func() {}
	}
	bar := progressbar.NewOptions64(-1, progressbar.OptionSetWriter(out), progressbar.OptionShowBytes(true),
		progressbar.OptionSetDescription("replaying"), progressbar.OptionSetPredictTime(true), progressbar.OptionThrottle(progressEvery))
	watch = func(done, size int64) {
		bar.ChangeMax64(size)
		_ = bar.Set64(done) // a bar that cannot be drawn must not stop the replay
	}
	return watch, func() { fmt.Fprintln(out) }
}

func (c *replayCmd) summarise(out io.Writer, done replay.Progress) error {
	if _, err := fmt.Fprintf(out, "%d events accepted, %d lines refused\n", done.Accepted, done.RefusedLines()); err != nil {
		return err
	}
	for _, reason := range slices.Sorted(maps.Keys(done.Refused)) {
		fmt.Fprintf(out, "  %-20s %d\n", reason, done.Refused[reason])
	}
	if done.RefusedLines() > 0 {
		fmt.Fprintf(out, "The refused lines and their reasons are listed in %s\n", replay.RefusedPath(c.File))
	}
	return nil
}
