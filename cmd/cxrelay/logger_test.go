package main

import (
	"bytes"
	"log/slog"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// TestReadableLog: durations have their unit in both forms of the log, lists
// are joined in the text.
func TestReadableLog(t *testing.T) {
	for format, want := range map[string]string{
		"json": `"msg":"m","took":"1.5s","any":"2ms","missing":["a","b c"],"in":{"wait":"1m0s"},"n":1}`,
		"text": `msg=m took=1.5s any=2ms missing="a; b c" in.wait=1m0s n=1`,
	} {
		var out bytes.Buffer
		cmd := new(cobra.Command)
		cmd.SetErr(&out)
		log, _, err := (&logFlags{format: format, level: "info"}).logger(cmd)
		if err != nil {
			t.Fatal(err)
		}
		log.Info("m", slog.Duration("took", 1500*time.Millisecond), slog.Any("any", 2*time.Millisecond), slog.Any("missing", []string{"a", "b c"}),
			slog.Group("in", slog.Duration("wait", time.Minute)), slog.Int("n", 1))
		if line := out.String(); !bytes.HasSuffix(bytes.TrimSpace(out.Bytes()), []byte(want)) {
			t.Errorf("%s: have %s\nwant …%s", format, line, want)
		}
	}
}
