package real

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Allow lets a principal write to topics and see their settings.
func (c *Cluster) Allow(principal string, topics ...string) {
	c.t.Helper()
	c.AllowWrite(principal, topics...)
	c.acl(kadm.NewACLs().Allow(principal), kadm.OpDescribeConfigs, topics)
	c.granted(principal, kmsg.ACLPermissionTypeAllow, kadm.OpDescribeConfigs, topics)
}

// AllowWrite lets a principal write to topics, and hides their settings.
func (c *Cluster) AllowWrite(principal string, topics ...string) {
	c.t.Helper()
	c.acl(kadm.NewACLs().Allow(principal), kadm.OpWrite, topics)
	c.granted(principal, kmsg.ACLPermissionTypeAllow, kadm.OpWrite, topics)
}

// Deny forbids a principal to write to topics, which it may still describe.
func (c *Cluster) Deny(principal string, topics ...string) {
	c.t.Helper()
	c.acl(kadm.NewACLs().Deny(principal), kadm.OpWrite, topics)
	c.granted(principal, kmsg.ACLPermissionTypeDeny, kadm.OpWrite, topics)
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

// granted waits until the broker acts on rules that the controller has taken.
func (c *Cluster) granted(principal string, permission kmsg.ACLPermissionType, op kadm.ACLOperation, names []string) {
	c.t.Helper()
	Until(c.t, fmt.Sprintf("%s: %s on %v is in force", principal, op, names), 10*time.Second, func() bool {
		rules := c.rules(principal)
		return !slices.ContainsFunc(names, func(name string) bool {
			return !slices.ContainsFunc(rules, func(r kadm.DescribedACL) bool {
				return r.Name == name && r.Operation == op && r.Permission == permission
			})
		})
	})
}

// rules are what the broker's authorizer knows of a principal now.
func (c *Cluster) rules(principal string) (all []kadm.DescribedACL) {
	c.t.Helper()
	found, err := c.admin.DescribeACLs(c.t.Context(), anyRule(principal).AnyResource().ResourcePatternType(kadm.ACLPatternAny))
	for _, one := range found {
		all, err = append(all, one.Described...), errors.Join(err, one.Err)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return all
}

func anyRule(principal string) *kadm.ACLBuilder {
	return kadm.NewACLs().Allow(principal).AllowHosts().Deny(principal).DenyHosts().Operations()
}

// Forget takes back what was allowed or denied to a principal: on these topics,
// or without any, everything.
func (c *Cluster) Forget(principal string, topics ...string) {
	c.t.Helper()
	b := anyRule(principal).AnyResource().ResourcePatternType(kadm.ACLPatternAny)
	if len(topics) > 0 {
		b = anyRule(principal).Topics(topics...).ResourcePatternType(kadm.ACLPatternLiteral)
	}
	done, err := c.admin.DeleteACLs(c.t.Context(), b)
	for _, one := range done {
		err = errors.Join(err, one.Err)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	Until(c.t, principal+" has no such rights any more", 10*time.Second, func() bool {
		return !slices.ContainsFunc(c.rules(principal), func(r kadm.DescribedACL) bool { return len(topics) == 0 || slices.Contains(topics, r.Name) })
	})
}

// KafkaACLs runs a kafka-acls.sh command as documentation has it, with Kafka's
// own tool: for a principal in place of User:relay. It returns when the rights
// that it grants are in force.
func (c *Cluster) KafkaACLs(principal, command string) {
	c.t.Helper()
	args := strings.Fields(strings.NewReplacer("BROKER:9092", c.Brokers(), "User:relay", principal).Replace(command))
	if len(args) == 0 || args[0] != "kafka-acls.sh" {
		c.t.Fatalf("not a command of kafka-acls.sh: %q", command)
	}
	c.output(c.t.Context(), c.java(c.t.Context(), "org.apache.kafka.tools.AclCommand", args[1:]...), "kafka-acls")
	var operations []kadm.ACLOperation
	var names []string
	for i, arg := range args {
		switch arg {
		case "--operation":
			op, err := kmsg.ParseACLOperation(args[i+1])
			if err != nil {
				c.t.Fatal(err)
			}
			operations = append(operations, op)
		case "--topic":
			names = append(names, args[i+1])
		case "--cluster":
			names = append(names, "kafka-cluster")
		}
	}
	for _, op := range operations {
		c.granted(principal, kmsg.ACLPermissionTypeAllow, op, names)
	}
}

// Log returns what a broker has logged so far.
func (c *Cluster) Log(id int) string {
	c.t.Helper()
	b, err := os.ReadFile(c.node(id).process.Log)
	if err != nil {
		c.t.Fatal(err)
	}
	return string(b)
}
