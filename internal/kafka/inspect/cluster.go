package inspect

import (
	"context"
	"errors"
	"math"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// metadata asks for the topics with our rights on them (KIP-430). kadm would
// give up on all topics because one of them is denied.
func metadata(ctx context.Context, cl *kgo.Client, topics []string) (*kmsg.MetadataResponse, error) {
	req := kmsg.NewPtrMetadataRequest()
	req.IncludeTopicAuthorizedOperations = true
	req.Topics = []kmsg.MetadataRequestTopic{} // nil would mean all
	for _, name := range topics {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = kmsg.StringPtr(name)
		req.Topics = append(req.Topics, t)
	}
	return req.RequestWith(ctx, cl)
}

func topicOf(name string, meta *kmsg.MetadataResponse) Topic {
	t := Topic{Name: name, State: Missing, Settings: noSettings()}
	for i := range meta.Topics {
		mt := &meta.Topics[i]
		if mt.Topic == nil || *mt.Topic != name {
			continue
		}
		switch err := kerr.ErrorForCode(mt.ErrorCode); {
		case err == nil && len(mt.Partitions) > 0:
			t.State = Present
			t.Write = writePermission(mt.AuthorizedOperations)
			t.replicas(mt.Partitions)
		case errors.Is(err, kerr.TopicAuthorizationFailed):
			t.State = Hidden
		case err != nil && !errors.Is(err, kerr.UnknownTopicOrPartition):
			t.State, t.Err = Broken, err
		}
	}
	return t
}

func (t *Topic) replicas(partitions []kmsg.MetadataResponseTopicPartition) {
	t.Partitions = int32(len(partitions)) //nolint:gosec // Kafka counts partitions in 32 bits
	t.ReplicationFactor, t.MinInSync = math.MaxInt, math.MaxInt
	for _, p := range partitions {
		if p.Leader < 0 {
			t.Leaderless = append(t.Leaderless, p.Partition)
		}
		t.ReplicationFactor = min(t.ReplicationFactor, len(p.Replicas))
		t.MinInSync = min(t.MinInSync, len(p.ISR))
	}
}

func writePermission(operations int32) Permission {
	switch {
	case operations == math.MinInt32 || operations == 0: // not said: who sees the topic may at least describe it
		return Unknown
	case operations&(1<<kmsg.ACLOperationWrite) != 0:
		return Allowed
	default:
		return Denied
	}
}

// seeds asks the configured addresses, all at once.
func seeds(ctx context.Context, cl *kgo.Client) []Broker {
	addresses, _ := cl.OptValue(kgo.SeedBrokers).([]string)
	ask := cl.SeedBrokers()
	all := make([]Broker, min(len(addresses), len(ask)))
	for i := range all {
		all[i] = Broker{ID: -1, Address: addresses[i]}
	}
	answers(ctx, all, ask)
	return all
}

// named asks the brokers that the cluster names: these are the addresses that
// records go to. A configured address that is one of them is listed once.
func named(ctx context.Context, cl *kgo.Client, configured []Broker, meta *kmsg.MetadataResponse) []Broker {
	all := make([]Broker, len(meta.Brokers))
	ask := make([]*kgo.Broker, len(meta.Brokers))
	known := make(map[string]bool)
	for i, b := range meta.Brokers {
		all[i] = Broker{ID: b.NodeID, Address: net.JoinHostPort(b.Host, strconv.Itoa(int(b.Port)))}
		ask[i] = cl.Broker(int(b.NodeID))
		known[all[i].Address] = true
	}
	answers(ctx, all, ask)
	configured = slices.DeleteFunc(configured, func(b Broker) bool { return known[b.Address] })
	return append(configured, all...)
}

// answers fills in whether and how fast each broker answers.
func answers(ctx context.Context, all []Broker, ask []*kgo.Broker) {
	var wg sync.WaitGroup
	for i := range all {
		wg.Go(func() { all[i].Latency, all[i].Err = latency(ctx, ask[i]) })
	}
	wg.Wait()
}

// latency is the time of the second of two requests: the first one may have
// to connect. It asks for what a broker tells only to whom it lets in: greetings
// (ApiVersions) are answered before anybody has authenticated.
func latency(ctx context.Context, b *kgo.Broker) (time.Duration, error) {
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{} // of none; nil would be of all
	var took time.Duration
	for range 2 {
		began := time.Now()
		if _, err := b.Request(ctx, req); err != nil {
			return 0, err
		}
		took = time.Since(began)
	}
	return took, nil
}

// mayDescribe tells whether the cluster may be described by this client. To
// ask for what is denied would put an error into the log of a broker. Where
// the cluster does not say (before Kafka 2.8) it may be tried.
func mayDescribe(ctx context.Context, cl *kgo.Client) bool {
	req := kmsg.NewPtrDescribeClusterRequest()
	req.IncludeClusterAuthorizedOperations = true
	resp, err := req.RequestWith(ctx, cl)
	if err != nil || resp.ErrorCode != 0 || resp.ClusterAuthorizedOperations == math.MinInt32 {
		return true
	}
	return resp.ClusterAuthorizedOperations&(1<<kmsg.ACLOperationDescribe) != 0
}

// ClockOf compares the clocks. It is no part of a look at topics, and asks two
// questions at most.
func ClockOf(ctx context.Context, cl *kgo.Client) Clock { return clock(ctx, cl) }

// clock asks the active controller for the state of the metadata quorum. Its
// answer holds the controller's own time, as the time at which it last heard
// of itself.
func clock(ctx context.Context, cl *kgo.Client) Clock {
	if !mayDescribe(ctx, cl) {
		return Clock{Err: kerr.ClusterAuthorizationFailed}
	}
	req := kmsg.NewPtrDescribeQuorumRequest()
	topic := kmsg.NewDescribeQuorumRequestTopic()
	topic.Topic = "__cluster_metadata"
	topic.Partitions = append(topic.Partitions, kmsg.NewDescribeQuorumRequestTopicPartition())
	req.Topics = append(req.Topics, topic)
	began := time.Now()
	resp, err := req.RequestWith(ctx, cl)
	took := time.Since(began)
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err != nil {
		return Clock{Err: err}
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return Clock{Err: err}
			}
			for _, v := range p.CurrentVoters {
				if v.ReplicaID == p.LeaderID && v.LastFetchTimestamp > 0 {
					theirs := time.UnixMilli(v.LastFetchTimestamp)
					return Clock{Ahead: theirs.Sub(began.Add(took / 2)), Within: took/2 + time.Millisecond}
				}
			}
		}
	}
	return Clock{Err: errors.New("the controller's answer has no time in it (before Kafka 3.3)")}
}

// settings fills in the topics' settings. kadm would give up on all of them
// because those of one are denied.
func settings(ctx context.Context, cl *kgo.Client, topics []Topic) {
	req := kmsg.NewPtrDescribeConfigsRequest()
	byName := make(map[string]*Topic, len(topics))
	for i := range topics {
		if t := &topics[i]; t.State == Present {
			byName[t.Name] = t
			rr := kmsg.NewDescribeConfigsRequestResource()
			rr.ResourceType, rr.ResourceName = kmsg.ConfigResourceTypeTopic, t.Name
			rr.ConfigNames = []string{minInSyncReplicas, maxMessageBytes, cleanupPolicy, uncleanElection}
			req.Resources = append(req.Resources, rr)
		}
	}
	if len(byName) == 0 {
		return
	}
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		for _, t := range byName {
			t.Settings.Err = err
		}
		return
	}
	for _, r := range resp.Resources {
		t := byName[r.ResourceName]
		if t == nil {
			continue
		}
		t.Settings.Err = kerr.ErrorForCode(r.ErrorCode)
		for _, c := range r.Configs {
			if c.Value != nil {
				t.Settings.set(c.Name, *c.Value)
			}
		}
	}
}

// The settings that are looked at.
const (
	minInSyncReplicas = "min.insync.replicas"
	maxMessageBytes   = "max.message.bytes"
	cleanupPolicy     = "cleanup.policy"
	uncleanElection   = "unclean.leader.election.enable"
)

func (s *Settings) set(key, value string) {
	switch key {
	case minInSyncReplicas:
		if n, err := strconv.Atoi(value); err == nil {
			s.MinInSyncReplicas = n
		}
	case maxMessageBytes:
		if n, err := strconv.ParseInt(value, 10, 64); err == nil {
			s.MaxMessageBytes = n
		}
	case cleanupPolicy:
		s.CleanupPolicy = value
	case uncleanElection:
		s.UncleanElection = value
	}
}
