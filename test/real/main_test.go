//go:build real

package real_test

import (
	"slices"
	"testing"

	"github.com/cxrelay/cxrelay/test/real"
	"github.com/cxrelay/cxrelay/test/storm"
	"github.com/cxrelay/cxrelay/test/storm/load"
)

const secret = "a secret of the tests"

// schema is what the relay needs of an event, so that every payload of the
// tests passes whatever its form.
const (
	subject = "cxone-data-action-v1"
	schema  = `{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","required":["actionType","contactId"],` +
		`"properties":{"actionType":{"type":"string"},"contactId":{"type":["string","number"]}}}`
)

// rig is shared by the tests of this package; they do not run in parallel.
var rig real.Rig

func TestMain(m *testing.M) {
	m.Run()
	rig.Close()
}

// start starts a relay on a cluster with the topics of its built-in routes, empty.
func start(t *testing.T, cluster *real.Cluster, setup real.Setup) *real.Relay {
	t.Helper()
	registry := rig.Registry(t)
	registry.Register(t, subject, schema)
	cluster.Topics(8, storm.Topics()...)
	setup.Brokers, setup.Registry, setup.Secret = cluster.Brokers(), registry.URL(), secret
	return rig.Relay(t, setup)
}

// kinds are the names of the relay's built-in types, in the order of
// storm.Types and storm.Topics.
func kinds() []string {
	var all []string
	for _, t := range storm.Types() {
		all = append(all, t.Name)
	}
	return all
}

// route is the built-in one of a type.
func route(kind string) load.Type { return storm.Types()[slices.Index(kinds(), kind)] }
