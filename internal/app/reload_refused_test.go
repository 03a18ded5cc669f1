package app_test

import (
	"fmt"
	"net/http"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cxrelay/cxrelay/internal/config"
)

// fixedKeys are the keys that need a restart, each with another value than the
// default, as YAML at the end of a file.
var fixedKeys = map[string]string{
	"listen.metrics":              "listen: {metrics: true}",
	"admin.ready_on_kafka":        "admin: {ready_on_kafka: false}",
	"kafka.sasl.mechanism":        "kafka: {sasl: {mechanism: PLAIN, username: u, password: p}}",
	"kafka.sasl.username":         "kafka: {sasl: {mechanism: PLAIN, username: u, password: p}}",
	"kafka.sasl.oauth.token_file": "kafka: {sasl: {mechanism: OAUTHBEARER, oauth: {token_file: b.secret}}}",
	"kafka.sasl.oauth.token_url":  "kafka: {sasl: {mechanism: OAUTHBEARER, oauth: {token_url: 'https://x/t', client_id: i, client_secret: s, scopes: [q]}}}",
	"kafka.sasl.oauth.client_id":  "kafka: {sasl: {mechanism: OAUTHBEARER, oauth: {token_url: 'https://x/t', client_id: i, client_secret: s, scopes: [q]}}}",
	"kafka.sasl.oauth.scopes":     "kafka: {sasl: {mechanism: OAUTHBEARER, oauth: {token_url: 'https://x/t', client_id: i, client_secret: s, scopes: [q]}}}",
	"kafka.tls.enabled":           "kafka: {tls: {enabled: true}}",
	"kafka.tls.server_name":       "kafka: {tls: {enabled: true, server_name: broker}}",
	"kafka.partitioner":           "kafka: {partitioner: crc32}",
	"kafka.partitions":            "kafka: {partitions: {cxone.transfers.raw: 3}}",
	"kafka.strict":                "kafka: {strict: true}",
	"shutdown.delay":              "shutdown: {delay: 3s}",
	"shutdown.timeout":            "shutdown: {timeout: 3s}",
}

// setByFlags are keys that this world sets by flags, which no file can change.
var setByFlags = []string{"instance", "listen.address", "admin.address", "kafka.brokers"}

// reloadableKeys are the others, or what they begin with.
var reloadableKeys = []string{
	"sources", "routes", "schema", "limits", "listen.tls", "admin.token_file",
	"kafka.sasl.password", "kafka.sasl.oauth.client_secret", "kafka.tls.ca_file", "kafka.tls.cert_file", "kafka.tls.key_file",
}

// TestFixedKeysRefuse: a change of each key that is not reloadable refuses the
// reload and is named; every key is either among them or reloadable.
func TestFixedKeysRefuse(t *testing.T) {
	for _, key := range config.Keys() {
		known := fixedKeys[key] != "" || slices.Contains(setByFlags, key)
		for _, r := range reloadableKeys {
			known = known || key == r || strings.HasPrefix(key, r+".") || strings.HasPrefix(key, r+"[") || strings.HasPrefix(key, r+"_")
		}
		for fixed := range fixedKeys {
			known = known || strings.HasPrefix(fixed, key+".") || key == fixed+"[]"
		}
		if !known && key != "shutdown" {
			t.Errorf("%s: is it reloadable?", key)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{files: baseFiles()})
		defer w.end()
		w.untilReady()
		before := w.scrape().series["cxrelay_config_hash"]
		for key, text := range fixedKeys {
			// Something reloadable beside it must not come through either.
			w.files.set("relay.yaml", strings.Replace(baseConfig, "topic: cxone.transfers.raw", "drop: true", 1)+text+"\n")
			if key == "kafka.partitions" {
				w.files.set("relay.yaml", baseConfig+text+"\n")
				key += ".cxone.transfers.raw"
			}
			w.refused(http.StatusConflict, ": error: "+key+": has changed, which needs a restart")
			if why := w.send(event("QUEUE_TRANSFER", "c0", len(w.journal.all))); why != "accepted" {
				t.Errorf("%s: an event is answered %s", key, why)
			}
		}
		if r := w.app.Readiness(); !r.Ready || !strings.Contains(fmt.Sprint(r.Degraded), "the last reload was refused") {
			t.Errorf("%+v", r)
		}
		s := w.scrape()
		if n := s.series[`cxrelay_config_reloads_total{result="needs_restart"}`]; n != float64(len(fixedKeys)) || s.series["cxrelay_config_hash"] != before || before == 0 {
			t.Errorf("%v refusals, hash %v, before %v", n, s.series["cxrelay_config_hash"], before)
		}
		w.files.set("relay.yaml", baseConfig)
		w.reload()
		if s := w.scrape(); s.series["cxrelay_config_last_reload_successful"] != 1 {
			t.Error("not successful again")
		}
		w.judge()
	})
}

// TestRefusedReloads: whatever is wrong, the answer says so, and everything is
// as it was: the same status, but for the reload's own part, and events go on.
func TestRefusedReloads(t *testing.T) {
	row := func(s string) string { return baseConfig + "  - {" + s + "}\n" }
	for name, c := range map[string]struct {
		file   string
		status int
		want   string
		took   time.Duration
	}{
		"no YAML":           {file: "sources: [", status: 422, want: "relay.yaml:1:"},
		"several faults":    {file: strings.Replace(baseConfig, "sources:", "surces:", 1) + "limits: {body: 0}\n", status: 422, want: "must be more than zero"},
		"no secret":         {file: strings.Replace(baseConfig, "a.secret", "gone.secret", 1), status: 422, want: "no such file"},
		"no topic":          {file: row("type: NEW, topic: missing"), status: 503, want: "topic missing: topic cannot be written: it does not exist"},
		"too few":           {file: row("type: NEW, topic: four") + "kafka: {partitions: {four: 9}}\n", status: 503, want: "9 partitions pinned, the topic has 8"},
		"no subject":        {file: row("type: NEW, topic: four, subject: none"), status: 503, want: "none"},
		"subject of a kind": {file: row("type: NEW, topic: four, subject: broken"), status: 503, want: "does not compile"},
		"another registry":  {file: baseConfig + "schema: {registry: {username: u, password: wrong}}\n", status: 503, want: "schema registry: "},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				known := subjects("cxone-data-action-v1")
				w := newWorld(t, worldOptions{files: baseFiles(), topics: append([]string{"four"}, seedTopics...), registry: func(rw http.ResponseWriter, r *http.Request) {
					switch _, _, asked := r.BasicAuth(); {
					case asked:
						rw.WriteHeader(http.StatusUnauthorized)
					case strings.Contains(r.URL.Path, "/broken/"):
						version(1, `{"type": 12}`)(rw, r)
					default:
						known(rw, r)
					}
				}})
				defer w.end()
				w.untilReady()
				before := w.facts()
				w.files.set("relay.yaml", c.file)
				w.refused(c.status, c.want)
				if now := w.facts(); now != before {
					t.Errorf("something changed:\n%s\n%s", before, now)
				}
				for kind := range topicByType {
					if why := w.send(event(kind, "c0", len(w.journal.all))); why != "accepted" {
						t.Errorf("%s: %s", kind, why)
					}
				}
				if _, why := w.post(event("NEW", "c1", 1)); why != "unrouted" {
					t.Errorf("the new route: %s", why)
				}
				w.journal.add(&sent{reasons: []string{"unrouted"}, id: "c1-1"})
				w.judge()
				if !strings.Contains(w.log.String(), "configuration not reloaded, the running one stays") {
					t.Error("no line in the log")
				}
			})
		})
	}
}

// facts are what the status says of topics and subjects.
func (w *world) facts() string {
	_, body := w.get(adminURL + "/api/v1/status")
	_, topics, _ := strings.Cut(body, `"topics":`)
	facts, _, _ := strings.Cut(topics, `"bodyBytes`)
	return regexp.MustCompile(`"ageSeconds":[0-9.]+`).ReplaceAllString(facts, "")
}

// TestPinsOfReloads: a pin comes with the route of its topic, and a count that
// holds already may be written down; neither moves a key.
func TestPinsOfReloads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{files: baseFiles(), topics: append([]string{"four"}, seedTopics...)})
		defer w.end()
		w.untilReady()
		with := baseConfig + "  - {type: NEW, topic: four}\nkafka: {partitions: {four: 4, cxone.transfers.raw: 8}}\n"
		w.files.set("relay.yaml", with)
		w.reload("routes[4]", "kafka.partitions")
		s := w.scrape()
		if s.series[`cxrelay_topic_partitions_pinned{topic="four"}`] != 4 || s.series[`cxrelay_topic_partitions_configured{topic="cxone.transfers.raw"}`] != 8 {
			t.Error("the pins are not in use")
		}
		w.files.set("relay.yaml", baseConfig)
		w.reload("routes[4]", "kafka.partitions")
		w.files.set("relay.yaml", strings.Replace(with, "four: 4", "four: 5", 1))
		w.refused(http.StatusConflict, "kafka.partitions.four: has changed, which needs a restart: the relay spreads the keys of topic four over 4 partitions until it ends, and here are 5\n") // this start's sequences are spread over 4
	})
}

// TestReloadStorm: hundreds of reloads under load leave nothing behind.
func TestReloadStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{files: baseFiles(), topics: append([]string{"four"}, seedTopics...), registry: subjects("cxone-data-action-v1", "new")})
		defer w.end()
		w.untilReady()
		variants := []string{
			baseConfig,
			baseConfig + "  - {type: NEW, topic: four, subject: new}\n",
			baseConfig + "  - {type: NEW, topic: missing}\n",
			strings.Replace(baseConfig, "{id: a, file: a.secret}", "{id: a, file: a.secret}, {id: b, file: b.secret}", 1),
			baseConfig + "limits: {body: 32KiB}\n",
			"sources: [",
		}
		storm := func(rounds int) {
			for i := range rounds {
				w.files.set("relay.yaml", variants[i%len(variants)])
				if i%50 == 49 {
					w.hangup <- syscallHangup
				}
				if a := w.tryReload(); a.status == http.StatusOK != (i%len(variants) != 2 && i%len(variants) != 5) {
					t.Errorf("%+v", a)
				}
			}
			w.files.set("relay.yaml", baseConfig)
			if a := w.tryReload(); a.status != http.StatusOK {
				t.Errorf("%+v", a)
			}
		}
		measure := func() (goroutines int, heap uint64) {
			w.client.CloseIdleConnections()
			time.Sleep(time.Minute)
			synctest.Wait()
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return runtime.NumGoroutine(), m.HeapAlloc
		}
		end := time.Now().Add(5 * time.Minute)
		var senders sync.WaitGroup
		senders.Go(w.load(4, time.Second, end))
		storm(2 * len(variants)) // what grows once has grown
		goroutines, heap := measure()
		storm(300)
		senders.Wait()
		after, grown := measure()
		if after > goroutines {
			t.Errorf("%d goroutines, %d before", after, goroutines)
		}
		if grown > heap+4<<20 {
			t.Errorf("%d KiB of heap, %d before", grown>>10, heap>>10)
		}
		w.never()
		w.judge()
		w.balances(w.scrape())
	})
}

// TestStrictReload: kafka.strict judges the topics of a reload as it does those
// of the start.
func TestStrictReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files := baseFiles()
		files.set("relay.yaml", baseConfig+strictFile())
		w := newWorld(t, worldOptions{files: files, cluster: safe(), topics: append([]string{"four"}, seedTopics...)})
		defer w.end()
		w.untilReady()
		routed := baseConfig + "  - {type: NEW, topic: four}\n" + strictFile()
		w.files.set("relay.yaml", routed)
		w.refused(http.StatusServiceUnavailable, "kafka.strict refuses")
		if why := w.send(event("QUEUE_TRANSFER", "c0", 0)); why != "accepted" {
			t.Error(why)
		}
		w.files.set("relay.yaml", strings.Replace(routed, "  partitions:\n", "  partitions:\n    four: 8\n", 1))
		w.reload("routes[4]", "kafka.partitions")
		if why := w.send(event("NEW", "c0", 1)); why != "accepted" {
			t.Error(why)
		}
	})
}

// TestSchemaModeReloads: who validates can change too.
func TestSchemaModeReloads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{files: baseFiles()})
		defer w.end()
		w.untilReady()
		n := 0
		bad := func() string {
			n++
			s := event("QUEUE_TRANSFER", "c0", n)
			s.body = strings.Replace(s.body, `"x":`, `"agentId":"seven","x":`, 1)
			return w.send(s)
		}
		for _, c := range []struct{ mode, want string }{{"local", "schema_mismatch"}, {"'off'", "accepted"}, {"local", "schema_mismatch"}} {
			w.files.set("relay.yaml", baseConfig+"schema: {mode: "+c.mode+"}\n")
			if a := w.tryReload(); a.status != http.StatusOK {
				t.Errorf("%+v", a)
			}
			if got := bad(); got != c.want {
				t.Errorf("mode %s: %s", c.mode, got)
			}
		}
		w.files.set("relay.yaml", baseConfig+"schema: {mode: 'off'}\n")
		w.reload("schema.mode")
		w.registry.set(func(r *registry) { r.handle = answerStatus(http.StatusInternalServerError) })
		w.files.set("relay.yaml", baseConfig)
		w.refused(http.StatusServiceUnavailable, "cxone-data-action-v1") // nobody could validate
		if got := bad(); got != "accepted" {
			t.Errorf("after a refusal: %s", got)
		}
		w.judge()
	})
}
