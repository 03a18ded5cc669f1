package app_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/cxrelay/cxrelay/internal/app"
	"github.com/cxrelay/cxrelay/internal/kafka/inspect"
)

// strictFile pins all topics and wants everything well.
func strictFile() string {
	var b strings.Builder
	b.WriteString("kafka:\n  strict: true\n  partitions:\n")
	for _, topic := range seedTopics {
		fmt.Fprintf(&b, "    %s: 8\n", topic)
	}
	return b.String()
}

// safe makes the brokers' default what kafka.strict asks for.
func safe() []kfake.Opt {
	return []kfake.Opt{kfake.BrokerConfigs(map[string]string{"min.insync.replicas": "2"})}
}

// TestInspectionIsSaidOnce: each finding is one line, whatever the number of
// topics, and stays in the status.
func TestInspectionIsSaidOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		defer w.end()
		w.untilReady()
		w.until("findings", 5*time.Second, func() bool { return strings.Contains(w.log.String(), "kafka inspection") })
		w.kafka.Cut()
		time.Sleep(time.Minute)
		w.kafka.Heal()
		time.Sleep(time.Minute)
		if n := strings.Count(w.log.String(), `"msg":"kafka inspection"`); n != 1 {
			t.Errorf("%d lines", n)
		}
		if !strings.Contains(w.log.String(), `"check":"min_insync"`) || !strings.Contains(w.log.String(), `"topics":["`+strings.Join(seedTopics, `","`)+`"]`) {
			t.Errorf("log:\n%s", w.log)
		}
		if body := w.status(); !strings.Contains(body, `"check":"min_insync"`) {
			t.Errorf("status: %s", body)
		}
	})
}

// status is the body of /api/v1/status.
func (w *world) status() string {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, "http://127.0.0.1:9640/api/v1/status", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	resp, err := w.client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(body)
}

// TestStrictRefuses: a warning ends the relay before anything was produced.
func TestStrictRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		options worldOptions
		want    []inspect.Check
		says    string
	}{
		"a warning":     {worldOptions{file: strictFile()}, []inspect.Check{inspect.MinInSync, inspect.MinInSync, inspect.MinInSync, inspect.MinInSync}, "min.insync.replicas is 1"},
		"missing topic": {worldOptions{file: strictFile(), topics: seedTopics[:3], cluster: safe()}, []inspect.Check{inspect.TopicExists}, "in: " + seedTopics[3]},
		"no pins":       {worldOptions{file: "kafka: {strict: true}", topics: seedTopics, cluster: safe()}, []inspect.Check{inspect.Partitions, inspect.Partitions, inspect.Partitions, inspect.Partitions}, "    " + seedTopics[0] + ": 8"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, c.options)
				time.Sleep(10 * time.Second)
				produced := w.app.Books().Produced
				var strict *app.StrictError
				if err := w.stop(); !errors.As(err, &strict) {
					t.Fatalf("Run: %v", err)
				}
				var got []inspect.Check
				for _, f := range strict.Findings {
					got = append(got, f.Check)
				}
				if fmt.Sprint(got) != fmt.Sprint(c.want) || !strings.Contains(strict.Error(), c.says) {
					t.Errorf("%v\n%v", got, strict)
				}
				if produced != 0 {
					t.Errorf("%d records produced", produced)
				}
			})
		})
	}
}

// TestStrictPasses: it waits for brokers, and until it has looked nothing is
// delivered, also while they are there.
func TestStrictPasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{file: strictFile(), cluster: safe(), away: true})
		defer w.end()
		time.Sleep(20 * time.Second)
		if r := w.app.Readiness(); r.Ready || !strings.Contains(fmt.Sprint(r.Missing), "kafka.strict") {
			t.Errorf("%+v", r)
		}
		if why := w.send(event("CALL_DISCONNECTED", "c1", 0)); why != "kafka_unavailable" {
			t.Errorf("before the inspection: %s", why)
		}
		slow := make(chan struct{}) // closed when the look at the records may go on
		w.kafka.Cluster.ControlKey(int16(kmsg.ListOffsets), func(kmsg.Request) (kmsg.Response, error, bool) {
			w.kafka.Cluster.SleepControl(func() { <-slow })
			return nil, nil, false
		})
		w.kafka.Heal()
		w.until("kafka is there", 30*time.Second, func() bool { return !strings.Contains(fmt.Sprint(w.app.Readiness().Missing), "no broker") })
		time.Sleep(2 * time.Second)
		if r := w.app.Readiness(); r.Ready {
			t.Errorf("%+v", r)
		}
		if why := w.send(event("CALL_DISCONNECTED", "c1", 1)); why != "kafka_unavailable" {
			t.Errorf("during the inspection: %s", why)
		}
		close(slow)
		w.until("ready", 60*time.Second, func() bool { return w.app.Readiness().Ready })
		if why := w.send(event("CALL_DISCONNECTED", "c1", 2)); why != "accepted" {
			t.Errorf("after the inspection: %s", why)
		}
		w.judge()
	})
}

// TestStrictForgivesTheMoment: a broker that is away while the relay starts is
// no reason not to start.
func TestStrictForgivesTheMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{file: strictFile(), cluster: safe(), away: true, overrides: map[string]string{
			"kafka.brokers": "127.0.0.1:9092,127.0.0.1:9999",
		}})
		defer w.end()
		w.kafka.Heal()
		w.until("ready", 30*time.Second, func() bool { return w.app.Readiness().Ready })
		if !strings.Contains(w.log.String(), `"check":"brokers"`) {
			t.Errorf("the address that does not answer was not said:\n%s", w.log)
		}
	})
}

// TestStrictReloadDuringInspection: what a reload has mended while the cluster is
// looked at does not end the relay.
func TestStrictReloadDuringInspection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const missing = "cxone.calls.terminated"
		files := baseFiles()
		files.set("relay.yaml", baseConfig+strictFile())
		w := newWorld(t, worldOptions{files: files, cluster: safe(), topics: seedTopics[:3], away: true})
		defer w.end()
		slow := make(chan struct{}) // closed when the look at the records may go on
		w.kafka.Cluster.ControlKey(int16(kmsg.ListOffsets), func(kmsg.Request) (kmsg.Response, error, bool) {
			w.kafka.Cluster.SleepControl(func() { <-slow })
			return nil, nil, false
		})
		w.kafka.Heal()
		w.until("kafka is there", 30*time.Second, func() bool { return !strings.Contains(fmt.Sprint(w.app.Readiness().Missing), "no broker") })
		time.Sleep(2 * time.Second)
		var kept []string
		for line := range strings.Lines(baseConfig + strictFile()) {
			if !strings.Contains(line, missing) {
				kept = append(kept, line)
			}
		}
		w.files.set("relay.yaml", strings.Join(kept, ""))
		w.reload("routes[3]", "kafka.partitions")
		close(slow)
		w.until("ready", 60*time.Second, func() bool { return w.app.Readiness().Ready })
		if why := w.send(event("QUEUE_TRANSFER", "c1", 0)); why != "accepted" {
			t.Error(why)
		}
	})
}
