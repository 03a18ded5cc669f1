package real

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/cxrelay/cxrelay/test/process"
)

// Topic makes a topic anew, empty, with as many replicas as there are brokers,
// and returns when all of them are in sync.
func (c *Cluster) Topic(name string, partitions int32) {
	c.t.Helper()
	c.Topics(partitions, name)
}

// Topics makes several topics anew; see Topic. A broker that lags may show
// the topics that they replace, whole and in sync: each must know the new ids.
func (c *Cluster) Topics(partitions int32, names ...string) {
	c.t.Helper()
	ids := map[string]kadm.TopicID{}
	for _, name := range names {
		if _, err := c.admin.DeleteTopic(c.t.Context(), name); err != nil && !errors.Is(err, kerr.UnknownTopicOrPartition) {
			c.t.Fatalf("delete topic %s: %v", name, err)
		}
		var last error
		Until(c.t, "topic "+name+" is made", 30*time.Second, func() bool {
			var made kadm.CreateTopicResponse
			made, last = c.admin.CreateTopic(c.t.Context(), partitions, int16(min(len(c.nodes), 3)), nil, name) //nolint:gosec // at most 3
			ids[name] = made.ID
			return last == nil || !errors.Is(last, kerr.TopicAlreadyExists) // the old one may still be there for a moment
		})
		if last != nil {
			c.t.Fatalf("create topic %s: %v", name, last)
		}
	}
	Until(c.t, "every broker knows the new topics", time.Minute, func() bool { return c.know(ids) })
	c.InSync(names...)
}

// Remove deletes topics, where they are there, and returns when no broker that
// runs knows them any more.
func (c *Cluster) Remove(names ...string) {
	c.t.Helper()
	for _, name := range names {
		if _, err := c.admin.DeleteTopic(c.t.Context(), name); err != nil && !errors.Is(err, kerr.UnknownTopicOrPartition) {
			c.t.Fatalf("delete topic %s: %v", name, err)
		}
	}
	Until(c.t, "the topics are gone", time.Minute, func() bool {
		return c.everyBroker(names, func(topic *kmsg.MetadataResponseTopic) bool {
			return topic.ErrorCode == kerr.UnknownTopicOrPartition.Code
		})
	})
}

// know tells whether every broker that runs has these topics by these ids.
func (c *Cluster) know(ids map[string]kadm.TopicID) bool {
	return c.everyBroker(slices.Sorted(maps.Keys(ids)), func(topic *kmsg.MetadataResponseTopic) bool {
		return topic.ErrorCode == 0 && kadm.TopicID(topic.TopicID) == ids[*topic.Topic]
	})
}

// everyBroker tells whether something holds for each topic at each broker that runs.
func (c *Cluster) everyBroker(names []string, holds func(*kmsg.MetadataResponseTopic) bool) bool {
	for _, n := range c.nodes {
		if !n.process.Alive() || n.paused {
			continue
		}
		seen, err := c.ask(c.t.Context(), n.id, names)
		if err != nil {
			return false
		}
		for i := range seen.Topics {
			if !holds(&seen.Topics[i]) {
				return false
			}
		}
	}
	return true
}

// Grow gives topics more partitions, and returns when those are there.
func (c *Cluster) Grow(partitions int, names ...string) {
	c.t.Helper()
	grown, err := c.admin.UpdatePartitions(c.t.Context(), partitions, names...)
	if err == nil {
		err = grown.Error()
	}
	if err != nil {
		c.t.Fatalf("grow %v: %v", names, err)
	}
	Until(c.t, fmt.Sprintf("%v have %d partitions", names, partitions), 30*time.Second, func() bool {
		details, err := c.details(names)
		if err != nil {
			return false
		}
		for _, topic := range details {
			if len(topic.Partitions) != partitions {
				return false
			}
		}
		return true
	})
	c.InSync(names...)
}

// InSync returns when in the eyes of every broker that runs, each partition of
// the topics, or of all topics, has a leader and all its replicas in sync.
func (c *Cluster) InSync(topics ...string) {
	c.t.Helper()
	lagging := "nothing seen"
	defer func() {
		if lagging != "" {
			c.t.Logf("replicas are not in sync: %s", lagging)
		}
	}()
	Until(c.t, "all replicas are in sync", time.Minute, func() bool {
		lagging = c.lagging(topics)
		return lagging == ""
	})
}

// lagging names a partition that is not whole, or returns "".
func (c *Cluster) lagging(topics []string) string {
	for _, n := range c.nodes {
		if !n.process.Alive() || n.paused {
			continue
		}
		seen, err := c.ask(c.t.Context(), n.id, topics)
		if err != nil {
			return err.Error()
		}
		for _, topic := range seen.Topics {
			if err := kerr.ErrorForCode(topic.ErrorCode); err != nil {
				return fmt.Sprintf("broker %d: %s: %v", n.id, *topic.Topic, err)
			}
			for _, p := range topic.Partitions {
				if p.Leader < 0 || p.ErrorCode != 0 || len(p.ISR) != len(p.Replicas) || len(p.OfflineReplicas) > 0 {
					return fmt.Sprintf("broker %d: %s/%d: leader %d, replicas %v, in sync %v, offline %v", n.id, *topic.Topic, p.Partition, p.Leader, p.Replicas, p.ISR, p.OfflineReplicas)
				}
			}
		}
	}
	return ""
}

// ask returns what one broker knows of the topics, or of all topics.
func (c *cluster) ask(ctx context.Context, id int, topics []string) (*kmsg.MetadataResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req := kmsg.NewPtrMetadataRequest() // no list of topics: all of them
	for _, topic := range topics {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = &topic
		req.Topics = append(req.Topics, t)
	}
	resp, err := c.client.Broker(id).Request(ctx, req)
	if err != nil {
		return nil, fmt.Errorf("broker %d: %w", id, err)
	}
	return resp.(*kmsg.MetadataResponse), nil
}

func (c *Cluster) details(topics []string) (kadm.TopicDetails, error) {
	ctx, cancel := context.WithTimeout(c.t.Context(), 3*time.Second)
	defer cancel()
	return c.admin.ListTopics(ctx, topics...)
}

// Leader returns the broker that leads a partition now.
func (c *Cluster) Leader(topic string, partition int32) int {
	c.t.Helper()
	leader := 0
	Until(c.t, fmt.Sprintf("%s/%d has a leader", topic, partition), 30*time.Second, func() bool {
		details, err := c.details([]string{topic})
		if err != nil {
			return false
		}
		p, ok := details[topic].Partitions[partition]
		leader = int(p.Leader)
		return ok && p.Err == nil && leader > 0
	})
	return leader
}

// MoveLeaders gives every partition of the topics another leader: the one that
// follows the present one in its list of replicas. It returns when the brokers
// have been told; those whose new leader is not in sync stay where they are.
func (c *Cluster) MoveLeaders(topics ...string) {
	c.t.Helper()
	c.prefer(topics, func(p kadm.PartitionDetail) []int32 {
		next := slices.Index(p.Replicas, p.Leader) + 1
		return append(slices.Clone(p.Replicas[next:]), p.Replicas[:next]...)
	})
}

// LeadBy makes one broker the leader of every partition of the topics, and
// returns when it is.
func (c *Cluster) LeadBy(id int, topics ...string) {
	c.t.Helper()
	c.prefer(topics, func(p kadm.PartitionDetail) []int32 {
		order := []int32{int32(id)} //nolint:gosec // at most 3
		for _, r := range p.Replicas {
			if int(r) != id {
				order = append(order, r)
			}
		}
		return order
	})
	Until(c.t, fmt.Sprintf("broker %d leads %v", id, topics), 30*time.Second, func() bool {
		details, err := c.details(topics)
		if err != nil {
			return false
		}
		led := true
		details.EachPartition(func(p kadm.PartitionDetail) { led = led && int(p.Leader) == id })
		return led
	})
}

// prefer reorders the replicas of every partition and has the first one of
// each elected, where it is in sync.
func (c *Cluster) prefer(topics []string, order func(kadm.PartitionDetail) []int32) {
	c.t.Helper()
	details, err := c.details(topics)
	if err != nil {
		c.t.Fatal(err)
	}
	var want kadm.AlterPartitionAssignmentsReq
	details.EachPartition(func(p kadm.PartitionDetail) { want.Assign(p.Topic, p.Partition, order(p)) })
	if _, err := c.admin.AlterPartitionAssignments(c.t.Context(), want); err != nil {
		c.t.Fatalf("reorder replicas: %v", err)
	}
	// Single partitions may have nothing to elect, or nobody to be elected.
	if _, err := c.admin.ElectLeaders(c.t.Context(), kadm.ElectPreferredReplica, details.TopicsSet()); err != nil {
		c.t.Fatalf("elect leaders: %v", err)
	}
}

// Controller returns the broker that is the active controller.
func (c *Cluster) Controller() int {
	c.t.Helper()
	id := 0
	Until(c.t, "there is a controller", 30*time.Second, func() bool {
		ctx, cancel := context.WithTimeout(c.t.Context(), 3*time.Second)
		defer cancel()
		req := kmsg.NewPtrDescribeQuorumRequest()
		topic, partition := kmsg.NewDescribeQuorumRequestTopic(), kmsg.NewDescribeQuorumRequestTopicPartition()
		topic.Topic, topic.Partitions = "__cluster_metadata", append(topic.Partitions, partition)
		req.Topics = append(req.Topics, topic)
		resp, err := req.RequestWith(ctx, c.client)
		if err != nil || len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
			return false
		}
		id = int(resp.Topics[0].Partitions[0].LeaderID)
		return id > 0
	})
	return id
}

// Leads tells whether a broker leads any partition of the topics, in the eyes
// of another one that runs.
func (c *Cluster) Leads(id int, topics ...string) bool {
	c.t.Helper()
	for _, n := range c.nodes {
		if n.id == id || !n.process.Alive() || n.paused {
			continue
		}
		seen, err := c.ask(c.t.Context(), n.id, topics)
		if err != nil {
			return true // not known: as before
		}
		for _, topic := range seen.Topics {
			for _, p := range topic.Partitions {
				if int(p.Leader) == id || p.Leader < 0 {
					return true
				}
			}
		}
		return false
	}
	return true
}

// Live returns the addresses of the brokers that run.
func (c *Cluster) Live() (all []string) {
	for _, n := range c.nodes {
		if n.process.Alive() && !n.paused {
			all = append(all, process.Local(n.port))
		}
	}
	return all
}
