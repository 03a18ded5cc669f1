package real

import (
	"errors"
	"os"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
)

// Allow lets a principal write to topics and see their settings.
func (c *Cluster) Allow(principal string, topics ...string) {
	c.t.Helper()
	c.AllowWrite(principal, topics...)
	c.acl(kadm.NewACLs().Allow(principal), kadm.OpDescribeConfigs, topics)
}

// AllowWrite lets a principal write to topics, and hides their settings.
func (c *Cluster) AllowWrite(principal string, topics ...string) {
	c.t.Helper()
	c.acl(kadm.NewACLs().Allow(principal), kadm.OpWrite, topics)
}

// Deny forbids a principal to write to topics, which it may still describe.
func (c *Cluster) Deny(principal string, topics ...string) {
	c.t.Helper()
	c.acl(kadm.NewACLs().Deny(principal), kadm.OpWrite, topics)
}

func (c *Cluster) acl(b *kadm.ACLBuilder, op kadm.ACLOperation, topics []string) {
	c.t.Helper()
	done, err := c.admin.CreateACLs(c.t.Context(), b.Topics(topics...).ResourcePatternType(kadm.ACLPatternLiteral).Operations(op))
	for _, one := range done {
		err = errors.Join(err, one.Err)
	}
	if err != nil || len(done) != len(topics) {
		c.t.Fatalf("%d ACLs for %d topics: %v", len(done), len(topics), err)
	}
}

// Forget takes back what was allowed or denied to a principal: on these topics,
// or without any, everything.
func (c *Cluster) Forget(principal string, topics ...string) {
	c.t.Helper()
	b := kadm.NewACLs().Allow(principal).AllowHosts().Deny(principal).DenyHosts().Operations()
	if len(topics) > 0 {
		b = b.Topics(topics...).ResourcePatternType(kadm.ACLPatternLiteral)
	} else {
		b = b.AnyResource().ResourcePatternType(kadm.ACLPatternAny)
	}
	done, err := c.admin.DeleteACLs(c.t.Context(), b)
	for _, one := range done {
		err = errors.Join(err, one.Err)
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

// KafkaACLs runs a kafka-acls.sh command as documentation has it, with Kafka's
// own tool: for a principal in place of User:relay.
func (c *Cluster) KafkaACLs(principal, command string) {
	c.t.Helper()
	args := strings.Fields(strings.NewReplacer("BROKER:9092", c.Brokers(), "User:relay", principal).Replace(command))
	if len(args) == 0 || args[0] != "kafka-acls.sh" {
		c.t.Fatalf("not a command of kafka-acls.sh: %q", command)
	}
	c.output(c.t.Context(), c.java(c.t.Context(), "org.apache.kafka.tools.AclCommand", args[1:]...), "kafka-acls")
}

// Log returns what a broker has logged so far.
func (c *Cluster) Log(id int) string {
	c.t.Helper()
	b, err := os.ReadFile(c.node(id).process.log)
	if err != nil {
		c.t.Fatal(err)
	}
	return string(b)
}
