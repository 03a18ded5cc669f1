package real

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/cxrelay/cxrelay/test/process"
)

// Registry is a running Apicurio Registry. It keeps its schemas in memory.
type Registry struct {
	base    string
	process *process.Process
}

// StartRegistry starts a registry for this test alone; it ends with it.
func StartRegistry(t testing.TB) *Registry {
	t.Helper()
	folder, dir := registryJar(t), runFolder(t)
	r, err := startRegistry(t.Context(), folder, dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.stop()
		if t.Failed() {
			t.Logf("the log of the registry is kept in %s", dir)
		}
		tidy(dir, t.Failed())
	})
	return r
}

// startRegistry returns when the registry answers.
func startRegistry(ctx context.Context, folder, dir string) (*Registry, error) {
	ports, err := process.FreePorts(ctx, 1)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(context.Background(), "java", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:-UsePerfData",
		"-Dquarkus.http.host=127.0.0.1", "-Dquarkus.http.port="+strconv.Itoa(ports[0]),
		"-jar", filepath.Join(folder, registryRunner))
	cmd.Dir = dir
	child, err := process.Start(cmd, filepath.Join(dir, "registry.log"))
	if err != nil {
		return nil, err
	}
	r := &Registry{base: "http://" + process.Local(ports[0]), process: child}
	err = until(ctx, "the registry answers", time.Minute, func() bool {
		resp, err := r.request(ctx, http.MethodGet, "/subjects", nil)
		return !child.Alive() || err == nil && resp.StatusCode == http.StatusOK
	})
	if err == nil && !child.Alive() {
		err = errors.New("the registry has ended")
	}
	if err != nil {
		child.Kill()
		return nil, fmt.Errorf("%w; %s", err, process.LastWords(child.Log))
	}
	return r, nil
}

// Kill ends the registry for good, with all it held. Only for one that
// StartRegistry has started: tests share the other.
func (r *Registry) Kill() { r.stop() }

func (r *Registry) stop() { r.process.Kill() }

// URL returns the base of the Confluent-compatible API.
func (r *Registry) URL() string { return r.base + "/apis/ccompat/v7" }

// Register stores a JSON schema as the newest version of a subject and
// returns its id.
func (r *Registry) Register(t testing.TB, subject, schema string) int {
	t.Helper()
	body, err := json.Marshal(map[string]string{"schemaType": "JSON", "schema": schema})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := r.request(t.Context(), http.MethodPost, "/subjects/"+subject+"/versions", body)
	if err != nil {
		t.Fatal(err)
	}
	var answer struct{ ID int }
	if err := json.Unmarshal(resp.body, &answer); err != nil || answer.ID == 0 {
		t.Fatalf("register %s: %d %s", subject, resp.StatusCode, resp.body)
	}
	return answer.ID
}

type response struct {
	*http.Response
	body []byte
}

func (r *Registry) request(ctx context.Context, method, path string, body []byte) (response, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second) // it may share two CPUs with brokers
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, r.URL()+path, bytes.NewReader(body))
	if err != nil {
		return response{}, err
	}
	req.Header.Set("Content-Type", "application/vnd.schemaregistry.v1+json")
	resp, err := new(http.Transport).RoundTrip(req)
	if err != nil {
		return response{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return response{resp, b}, err
}
