package real

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cxrelay/cxrelay/test/process"
)

// Variables of the environment: where the artefacts are, and how to run.
const (
	cacheVariable = "CXRELAY_REAL_CACHE" // default: .cache/real in the repository
	modeVariable  = "CXRELAY_REAL"       // "skip" on a machine without Java, "keep" to look at logs afterwards
)

const (
	fetchTimeout   = 5 * time.Minute
	registryFolder = "apicurio-2.6.13.Final"
	registryName   = "io.apicurio:apicurio-registry-app:2.6.13.Final:tar.gz:all"
	registryRunner = "apicurio-registry-app-2.6.13.Final-runner.jar"
	mavenCopy      = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy" // Debian's default version has no one-off copy
)

// pinned has, per artefact, the SHA-256 of every file that is fetched, and
// the Maven project that names them; and the Java program of Partitions.
//
//go:embed testdata/*.sha256 testdata/pom.xml testdata/Partition.java
var pinned embed.FS

// libraries returns the folder with the jars of one Kafka line.
func libraries(t testing.TB, line Line) string {
	t.Helper()
	return artefact(t, "kafka-"+string(line), func(ctx context.Context, dir string) error {
		pom, err := pinned.ReadFile("testdata/pom.xml")
		if err != nil {
			return err
		}
		project := filepath.Join(dir, "pom.xml")
		if err := os.WriteFile(project, pom, 0o600); err != nil {
			return err
		}
		return maven(ctx, dir, "-f", project, "dependency:copy-dependencies", "-DincludeScope=runtime",
			"-Dkafka.version="+string(line), "-DoutputDirectory="+dir)
	})
}

// registryJar returns the folder in which the registry's archive is unpacked.
func registryJar(t testing.TB) string {
	t.Helper()
	return artefact(t, registryFolder, func(ctx context.Context, dir string) error {
		if err := maven(ctx, dir, mavenCopy, "-Dartifact="+registryName, "-DoutputDirectory="+dir); err != nil {
			return err
		}
		archives, err := filepath.Glob(filepath.Join(dir, "*.tar.gz"))
		if err != nil || len(archives) != 1 {
			return fmt.Errorf("want one archive, got %v: %w", archives, err)
		}
		tar := exec.CommandContext(ctx, "tar", "-xzf", archives[0], "-C", dir)
		return process.Run(ctx, tar, filepath.Join(dir, "tar.log"))
	})
}

// artefact returns the folder of an artefact, fetched before or now. What is
// in it is checked against the pinned sums each time.
func artefact(t testing.TB, name string, fetch func(ctx context.Context, dir string) error) string {
	t.Helper()
	demand(t)
	cache := cacheFolder(t)
	unlock, err := lock(filepath.Join(cache, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	dir := filepath.Join(cache, name)
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		ctx, cancel := context.WithTimeout(t.Context(), fetchTimeout)
		defer cancel()
		if err := fetchInto(ctx, dir, fetch); err != nil {
			t.Fatalf("fetch %s with Maven: %v\n%s", name, err, remedy)
		}
	}
	if err := verify(name, dir); err != nil {
		t.Fatalf("%v\nremove %s, and it is fetched again", err, dir)
	}
	return dir
}

// fetchInto fetches beside dir and renames at the end, so that dir is never
// there in part.
func fetchInto(ctx context.Context, dir string, fetch func(ctx context.Context, dir string) error) error {
	fresh := dir + ".fetching"
	if err := errors.Join(os.RemoveAll(fresh), os.MkdirAll(fresh, 0o750)); err != nil {
		return err
	}
	if err := fetch(ctx, fresh); err != nil {
		return err
	}
	return os.Rename(fresh, dir)
}

func maven(ctx context.Context, dir string, args ...string) error {
	cmd := exec.CommandContext(ctx, "mvn", append([]string{"-q", "-B"}, args...)...)
	cmd.Dir = dir // a pom.xml of some other folder must not matter
	return process.Run(ctx, cmd, filepath.Join(dir, "maven.log"))
}

// verify compares every pinned file with its sum.
func verify(name, dir string) error {
	sums, err := pinned.ReadFile("testdata/" + name + ".sha256")
	if err != nil {
		return err
	}
	for line := range bytes.Lines(sums) {
		want, file, ok := strings.Cut(strings.TrimSpace(string(line)), "  ")
		if !ok {
			return fmt.Errorf("%s.sha256: want a sum and a name, have %q", name, line)
		}
		got, err := sum(filepath.Join(dir, file))
		if err != nil {
			return err
		}
		if got != want {
			return fmt.Errorf("%s/%s is not the file that was pinned: SHA-256 %s, want %s", name, file, got, want)
		}
	}
	return nil
}

func sum(file string) (string, error) {
	f, err := os.Open(file) //nolint:gosec // a pinned name in our own folder
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

const remedy = `These tests run Apache Kafka and need Java 17 or newer, Maven and kcat:
  apt-get install --no-install-recommends openjdk-17-jdk-headless maven kcat
They are fetched once, into .cache/real or $CXRELAY_REAL_CACHE. To go without on
your own machine: CXRELAY_REAL=skip (never in CI, where that is a failure).`

// demand fails the test where a tool is missing. It skips only where somebody
// asked for that, and not in CI.
func demand(t testing.TB) {
	t.Helper()
	switch mode := os.Getenv(modeVariable); {
	case mode == "", mode == "keep":
	case mode != "skip":
		t.Fatalf("%s=%q: want skip, keep or nothing", modeVariable, mode)
	case os.Getenv("CI") != "":
		t.Fatalf("%s=skip is not for CI: what is skipped there is proven nowhere", modeVariable)
	default:
		t.Skipf("%s=skip", modeVariable)
	}
	for _, tool := range []string{"java", "mvn", "kcat", "tar"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("%s is missing.\n%s", tool, remedy)
		}
	}
}

func cacheFolder(t testing.TB) string {
	t.Helper()
	dir := os.Getenv(cacheVariable)
	if dir == "" {
		dir = filepath.Join(moduleRoot(t), ".cache", "real")
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	return dir
}

// moduleRoot is the folder of go.mod, at or above the working directory.
func moduleRoot(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Fatal("no go.mod here or above")
		}
		dir = up
	}
}

// lock keeps two test programs from fetching at once.
func lock(file string) (unlock func(), err error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // in our own folder
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { f.Close() }, nil // closing unlocks
}
