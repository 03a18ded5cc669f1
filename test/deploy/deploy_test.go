// Package deploy_test checks what deploy/ ships, as far as that can be done
// without a container engine or a running systemd.
package deploy_test

import (
	"bytes"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/goccy/go-yaml"
)

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../../", path))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// need finds a program, or says loudly that something is not tested; in CI
// that is a failure.
func need(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("%s is not installed", program)
		}
		t.Skipf("NOT TESTED: %s is not installed", program)
	}
	return path
}

// TestRootfs builds what the Dockerfile puts into its image and runs it as
// its user, with nothing else there: the binary is static, needs no file, and
// no right.
func TestRootfs(t *testing.T) {
	dockerfile := read(t, "deploy/Dockerfile")
	for _, want := range []string{"FROM scratch", "COPY --from=build /rootfs/ /", "USER 65532:65532", `ENTRYPOINT ["/usr/bin/cxrelay"]`, `CMD ["serve"]`, "make build", "install -D bin/cxrelay /rootfs/usr/bin/cxrelay"} {
		if !strings.Contains(dockerfile, want) {
			t.Errorf("the Dockerfile lacks %q; change this test with it", want)
		}
	}
	if runtime.GOOS != "linux" || os.Getuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("this test needs root on Linux")
		}
		t.Skip("NOT TESTED: the image's file system; needs root on Linux")
	}
	need(t, "make")
	root := t.TempDir()
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	build := exec.CommandContext(t.Context(), "make", "-C", "../..", "build", "BIN="+filepath.Join(root, "usr/bin"), "VERSION=v9.9.9", "COMMIT=abc123")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	binary := filepath.Join(root, "usr/bin/cxrelay")
	f, err := elf.Open(binary)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("the binary is not static")
		}
	}
	run := func(env []string, args ...string) (string, int) {
		cmd := exec.CommandContext(t.Context(), "/usr/bin/cxrelay", args...)
		cmd.Dir, cmd.Env = "/", env
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
		out, _ := cmd.CombinedOutput()
		return string(out), cmd.ProcessState.ExitCode()
	}
	if out, code := run(nil, "version"); code != 0 || !strings.Contains(out, "v9.9.9") || !strings.Contains(out, "abc123") {
		t.Errorf("version: exit %d\n%s", code, out)
	}
	if out, code := run(nil, "serve"); code != 78 || !strings.Contains(out, "KAFKA_BROKERS") {
		t.Errorf("serve without configuration: exit %d\n%s", code, out)
	}
}

// TestCompose: the compose file is YAML without surprises, and gives the relay
// the variables that it needs.
func TestCompose(t *testing.T) {
	var compose struct {
		Services map[string]struct {
			Image       string            `yaml:"image"`
			Build       map[string]string `yaml:"build"`
			Environment map[string]string `yaml:"environment"`
			Command     []string          `yaml:"command"`
			Ulimits     map[string]int    `yaml:"ulimits"`
		} `yaml:"services"`
	}
	if err := yaml.Unmarshal([]byte(read(t, "deploy/compose/compose.yaml")), &compose); err != nil {
		t.Fatal(err)
	}
	for _, service := range []string{"cxrelay", "topics"} {
		s := compose.Services[service]
		for _, name := range []string{"KAFKA_BROKERS", "SCHEMA_REGISTRY_URL", "CXONE_WEBHOOK_SECRET"} {
			if s.Environment[name] == "" {
				t.Errorf("service %s has no %s", service, name)
			}
		}
		if _, err := os.Stat(filepath.Join("../../deploy/compose", s.Build["context"], s.Build["dockerfile"])); err != nil {
			t.Errorf("service %s: %v", service, err)
		}
	}
	if core, ok := compose.Services["cxrelay"].Ulimits["core"]; !ok || core != 0 {
		t.Error("a crash may write the relay's memory, and with it the secret, into a file")
	}
	for name, s := range compose.Services {
		if s.Image != "" && (strings.HasSuffix(s.Image, ":latest") || !strings.Contains(s.Image, ":")) {
			t.Errorf("service %s: image %s is not pinned", name, s.Image)
		}
	}
}

// TestSystemdUnit: systemd-analyze exits 0 even for unknown keys, so its
// output has to be empty too.
func TestSystemdUnit(t *testing.T) {
	analyze := need(t, "systemd-analyze")
	dir := t.TempDir()
	unit := filepath.Join(dir, "cxrelay.service")
	text := strings.ReplaceAll(read(t, "deploy/systemd/cxrelay.service"), "/usr/bin/cxrelay", "/bin/true")
	if !strings.Contains(text, "\nLimitCORE=0\n") {
		t.Error("a crash may write the relay's memory, and with it the secret, into a file")
	}
	if err := os.WriteFile(unit, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd := exec.CommandContext(t.Context(), analyze, "verify", unit)
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	for line := range strings.Lines(out.String()) {
		if strings.Contains(line, "cxrelay.service") {
			t.Errorf("%v: %s", err, line)
		}
	}
}

// TestSystemdState: what the comment of the unit has in the configuration is
// what the unit gives: a directory that outlives the relay for the schemas, and
// the secret as a credential. No core file is left behind.
func TestSystemdState(t *testing.T) {
	unit := read(t, "deploy/systemd/cxrelay.service")
	for _, want := range []string{
		"\nStateDirectory=cxrelay\n", "schema: {snapshot_dir: /var/lib/cxrelay/schemas}", "\nLimitCORE=0\n",
		"\nLoadCredential=cxone:", `file: "${CREDENTIALS_DIRECTORY}/cxone"`,
	} {
		if !strings.Contains(unit, want) {
			t.Errorf("the unit has no %q", want)
		}
	}
	if !strings.Contains(read(t, "docs/operations.md"), "`schema.snapshot_dir: /var/lib/cxrelay/schemas`") {
		t.Error("docs/operations.md names another folder")
	}
}

// TestAlertsKnowTheirMetrics: every metric of the rules is one that the relay
// has, every reason is one of the table, and every runbook anchor is there.
func TestAlertsKnowTheirMetrics(t *testing.T) {
	rules, metrics, answers := read(t, "deploy/prometheus/cxrelay.rules.yaml"), read(t, "docs/metrics.md"), read(t, "docs/answers.md")
	seen := 0
	for _, name := range regexp.MustCompile(`\b(cxrelay|cxone)_[a-z_]+\b`).FindAllString(rules, -1) {
		seen++
		if !strings.Contains(metrics, "`"+name+"`") {
			t.Errorf("no metric %s", name)
		}
	}
	for _, m := range regexp.MustCompile(`reason=~?"([a-z_|]+)"`).FindAllStringSubmatch(rules, -1) {
		for reason := range strings.SplitSeq(m[1], "|") {
			seen++
			if !strings.Contains(answers, "`"+reason+"`") {
				t.Errorf("no reason %s", reason)
			}
		}
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| [0-9]+ \\| retry ").FindAllStringSubmatch(answers, -1) {
		seen++
		if !regexp.MustCompile(`reason=~?"([a-z_|]+\|)?` + m[1] + `[|"]`).MatchString(rules) {
			t.Errorf("no alert for the reason %s, after which senders send again", m[1])
		}
	}
	tests := read(t, "deploy/prometheus/cxrelay.test.yaml")
	for _, m := range regexp.MustCompile(`(?m)^ +- alert: (\w+)$`).FindAllStringSubmatch(rules, -1) {
		seen++
		for _, name := range []string{" fires\n", " stays quiet\n"} {
			if !strings.Contains(tests, "- name: "+m[1]+name) {
				t.Errorf("cxrelay.test.yaml has no case %q", m[1]+name)
			}
		}
	}
	if seen < 50 {
		t.Errorf("only %d names found: the search is broken", seen)
	}
	anchors := map[string]bool{}
	for _, heading := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(read(t, "docs/operations.md"), -1) {
		anchor := strings.ToLower(strings.ReplaceAll(heading[1], " ", "-"))
		anchors[regexp.MustCompile(`[^a-z0-9-]`).ReplaceAllString(anchor, "")] = true
	}
	for _, m := range regexp.MustCompile(`runbook: docs/operations\.md#(\S+)`).FindAllStringSubmatch(rules, -1) {
		if !anchors[m[1]] {
			t.Error(fmt.Errorf("docs/operations.md has no heading for #%s", m[1]))
		}
	}
}
