package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

// setup is what a storm's configuration says.
type setup struct {
	secrets []string // ids, which are the names of files, too
	routes  []string // beside the four
	pins    int
	limits  string
	schema  string
}

// security is what brokers ask of the relay.
type security struct{ password string }

func (c setup) types() []string {
	return slices.DeleteFunc(stormTypes(), func(kind string) bool { return topicByType[kind] == "" && !slices.Contains(c.routes, kind) })
}

func (c setup) yaml(rig *security) string {
	var b strings.Builder
	b.WriteString("sources:\n  - name: cxone\n    path: /cxone/webhook\n    signature: {preset: cxone, secrets: [")
	for _, id := range c.secrets {
		fmt.Fprintf(&b, "{id: %s, file: %s.secret}, ", id, id)
	}
	b.WriteString("]}\nroutes:\n")
	for _, kind := range c.types() {
		fmt.Fprintf(&b, "  - {type: %s, topic: %s}\n", kind, stormTopic(kind))
	}
	b.WriteString("kafka:\n  partitions: {")
	for _, kind := range c.types() {
		fmt.Fprintf(&b, "%s: %d, ", stormTopic(kind), c.pins)
	}
	b.WriteString("}\n")
	if rig != nil {
		b.WriteString("  sasl: {mechanism: SCRAM-SHA-256, username: relay, password_file: kafka.secret}\n")
	}
	fmt.Fprintf(&b, "limits: {body: %d%s}\nshutdown: {timeout: 10s}\n%s", stormBody, c.limits, c.schema)
	return b.String()
}

// live are all relays that were ever started.
func (st *storm) live() []*relay {
	st.w.mu.Lock()
	defer st.w.mu.Unlock()
	return slices.Clone(st.w.relays)
}

// turn does something to the relays, while senders may be left without answers.
func (st *storm) turn(do func()) {
	st.alone(func() {
		st.moves.Add(1)
		do()
		pass(time.Millisecond) // clients see that connections have ended
		st.turns.Add(1)
		st.moves.Add(-1)
	})
}

// alone does what must not happen while relays come and go. A mutex would stop
// the virtual time.
func (st *storm) alone(do func()) {
	<-st.hand
	do()
	st.hand <- struct{}{}
}

// reload asks the relay that serves to reload, and returns its status; 0: it
// ended meanwhile, or was about to.
func (st *storm) reload() int {
	req, err := http.NewRequestWithContext(st.w.t.Context(), http.MethodPost, adminURL+"/-/reload", nil)
	if err != nil {
		st.w.t.Error(err)
		return 0
	}
	turn := st.turns.Load()
	resp, err := st.w.client.Do(req)
	if err != nil {
		if st.turns.Load() == turn && st.steady() {
			st.w.t.Errorf("RELOAD: %v", err)
		}
		return 0
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil && (st.turns.Load() != turn || !st.steady()) {
		return 0
	}
	if err != nil || !json.Valid(b) {
		st.w.t.Errorf("RELOAD: %q, %v", b, err)
	}
	return resp.StatusCode
}

// adopt writes a setup down and has it reloaded. What is refused is taken back.
func (st *storm) adopt(next setup) bool {
	st.w.files.set("relay.yaml", next.yaml(st.rig))
	status := st.reload()
	if status == http.StatusOK {
		st.setup = next
		return true
	}
	if status != http.StatusServiceUnavailable && status != 0 {
		st.w.t.Errorf("RELOAD: a good configuration was answered %d", status)
	}
	st.w.files.set("relay.yaml", st.setup.yaml(st.rig))
	return false
}

// restarts are what ends relays.
func restarts() []func(*rand.Rand) act {
	return []func(*rand.Rand) act{restart, rolling, kill, kill}
}

// reloads are what else operators do.
func reloads(secured bool) []func(*rand.Rand) act {
	all := []func(*rand.Rand) act{
		func(dice *rand.Rand) act {
			text := fmt.Sprintf(", in_flight_records: %d, in_flight_bytes: %dKiB, oldest_unacked: %dms", 10+dice.IntN(1000), 64+dice.IntN(1<<16), 300+dice.IntN(10000))
			if dice.IntN(2) == 0 {
				text = ""
			}
			return act{name: "reload: limits" + text, begin: func(st *storm) {
				next := st.setup
				next.limits = text
				st.adopt(next)
			}}
		},
		func(dice *rand.Rand) act {
			var routes []string
			for _, kind := range []string{"NEW", "OTHER"} {
				if dice.IntN(2) == 0 {
					routes = append(routes, kind)
				}
			}
			return act{name: fmt.Sprintf("reload: routes %v", routes), begin: func(st *storm) {
				next := st.setup
				next.routes = routes
				st.adopt(next)
			}}
		},
		func(dice *rand.Rand) act {
			text := []string{"", "schema: {max_age: 1h}\n"}[dice.IntN(2)]
			return act{name: "reload: schema " + text, begin: func(st *storm) {
				next := st.setup
				next.schema = text
				st.adopt(next)
			}}
		},
		broken, rotate,
		func(dice *rand.Rand) act {
			times := 5 + dice.IntN(10)
			return act{name: fmt.Sprintf("reload: %d times", times), begin: func(st *storm) { st.alone(func() { st.reloadOften(times) }) }}
		},
	}
	if secured {
		all = append(all, credentials, credentials)
	}
	return all
}

// reloadOften reloads without a pause. Every third time the file is broken.
func (st *storm) reloadOften(times int) {
	for i := range times {
		if i%3 == 2 {
			st.w.files.set("relay.yaml", "routes: 12\n")
			st.refused()
			continue
		}
		next := st.setup
		if next.limits = ""; i%2 == 0 {
			next.limits = ", connections: 5000"
		}
		st.adopt(next)
	}
	st.w.files.set("relay.yaml", st.setup.yaml(st.rig))
}

// refused has a reload refused.
func (st *storm) refused() {
	if status := st.reload(); status == http.StatusOK {
		st.w.t.Error("RELOAD: a broken configuration was taken over")
	}
}

// broken is a configuration that must not be taken over, for a while.
func broken(dice *rand.Rand) act {
	i := dice.IntN(4)
	return act{
		name: fmt.Sprintf("reload: broken %d", i), length: lasting(dice, 12*time.Second),
		begin: func(st *storm) {
			<-st.hand // no relay could start with it
			text := st.setup.yaml(st.rig)
			lacking := st.setup
			lacking.secrets = append(slices.Clone(lacking.secrets), "c") // no such file
			st.w.files.set("relay.yaml", []string{"routes: [", text + "unknown: 1\n", lacking.yaml(st.rig), text + "admin: {ready_on_kafka: false}\n"}[i])
			st.refused()
		},
		end: func(st *storm) {
			st.w.files.set("relay.yaml", st.setup.yaml(st.rig))
			st.reload()
			st.hand <- struct{}{}
		},
	}
}

// rotate gives senders another secret, as docs/operations.md says: both are
// right until nobody uses the old one.
func rotate(dice *rand.Rand) act {
	turn := func(st *storm) {
		old := st.setup.secrets[0]
		fresh, value := "b", "the-next-secret"
		if old == "b" {
			fresh, value = "a", testSecret
		}
		next := st.setup
		next.secrets = []string{old, fresh}
		if !st.adopt(next) {
			return
		}
		st.w.secret.Store(value)
		pass(stormDeadline + time.Second) // what was signed before is answered
		next.secrets = []string{fresh, old}
		st.adopt(next)
		if dice.IntN(2) == 0 {
			next.secrets = []string{fresh}
			st.adopt(next)
		}
	}
	return act{name: "reload: a secret rotates", begin: func(st *storm) { st.alone(func() { turn(st) }) }}
}

// credentials: the brokers want another password, and the relay hears of it
// after a while.
func credentials(dice *rand.Rand) act {
	password := fmt.Sprintf("kafka-%d", dice.IntN(1000))
	return act{
		name: "credentials: " + password, length: lasting(dice, 8*time.Second),
		begin: func(st *storm) {
			st.admin(func(ctx context.Context, adm *kadm.Client) {
				if _, err := adm.AlterUserSCRAMs(ctx, nil, []kadm.UpsertSCRAM{{User: "relay", Mechanism: kadm.ScramSha256, Iterations: 4096, Password: password}}); err == nil {
					st.rig.password = password
				}
			})
		},
		end: func(st *storm) {
			st.w.files.set("kafka.secret", st.rig.password)
			st.reload()
		},
	}
}

// restart stops the relay and starts the next, after a while or at once.
func restart(dice *rand.Rand) act {
	gap := lasting(dice, 4*time.Second)
	return act{name: fmt.Sprintf("restart after %s", gap), begin: func(st *storm) {
		st.turn(func() {
			st.stop(st.w.serving.Load())
			pass(gap)
			st.launch()
		})
	}}
}

// rolling starts the next relay before the one that is there is stopped.
func rolling(dice *rand.Rand) act {
	overlap := lasting(dice, 4*time.Second)
	return act{name: fmt.Sprintf("rolling restart, %s of both", overlap), begin: func(st *storm) {
		st.turn(func() {
			r := st.w.serving.Load()
			st.launch()
			pass(overlap)
			st.stop(r)
		})
	}}
}

// kill ends the relay at once and starts the next.
func kill(dice *rand.Rand) act {
	gap := lasting(dice, 2*time.Second)
	return act{name: fmt.Sprintf("kill, start after %s", gap), begin: func(st *storm) {
		st.turn(func() {
			st.w.serving.Load().kill()
			pass(gap)
			st.launch()
		})
	}}
}

// stop ends a relay in order, and in time.
func (st *storm) stop(r *relay) {
	began := time.Now()
	if err := r.end(); err != nil {
		st.w.t.Errorf("STOP: %s: %v", r.instance, err)
	}
	if took := time.Since(began); took > stormStop {
		st.w.t.Errorf("STOP: %s took %s", r.instance, took)
	}
}

func (st *storm) launch() {
	if err := st.w.start(); err != nil {
		st.w.t.Errorf("START: %v", err)
	}
}
