package main

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
)

// TestKeyFilter: the filter of a key lets the line of its record through, as
// kcat -J writes it, and no other, whatever the payloads hold.
func TestKeyFilter(t *testing.T) {
	keys := []string{"pk-f6e548190dc0076e", "c-7", "c-77", "a b", " ", "it's", `a"b`, `a\b`, `\(1)`, "a/b", "a<b>&c", "a\tb\n", "Zoë", "\u2028", "\x00", "\x7f", "key"}
	line := func(key *string, payload string) string {
		text, err := json.Marshal(map[string]any{"topic": "t", "key": key, "payload": `{"key":` + payload + `}`})
		if err != nil {
			t.Fatal(err)
		}
		return string(text) + "\n"
	}
	for _, key := range keys {
		filter := keyFilter(key)
		program, _, _ := strings.Cut(filter, " ")
		if _, err := exec.LookPath(program); err != nil {
			t.Logf("NOT TESTED: %q needs %s", key, program)
			continue
		}
		many := strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' || strings.ContainsRune(`"\/<>&`, r) })
		if many && program == "grep" {
			t.Errorf("%q: JSON can write it in more than one way, %s knows one", key, filter)
		}
		inside, _ := json.Marshal(key)
		others := line(nil, string(inside))
		for _, other := range keys {
			if other != key {
				others += line(&other, string(inside))
			}
		}
		want := line(&key, "1")
		got := filtered(t, filter, others+want)
		if strings.Count(got, "\n") != 1 || !strings.Contains(got, `{\"key\":1}`) {
			t.Errorf("%q: %s lets through %q", key, filter, got)
		}
	}
}

// filtered runs a command line of a shell.
func filtered(t *testing.T, filter, input string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", filter)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", filter, err, out)
	}
	return string(out)
}

// TestDefaultsOfDev: what stands in for a configuration is where cxrelay dev
// is without flags.
func TestDefaultsOfDev(t *testing.T) {
	flags := newDevCommand().Flags()
	if got := flags.Lookup("kafka").DefValue; got != defaultBroker {
		t.Errorf("--kafka %s, not %s", got, defaultBroker)
	}
	if got := "http://" + flags.Lookup("registry").DefValue; got != defaultRegistry {
		t.Errorf("--registry %s, not %s", got, defaultRegistry)
	}
}
