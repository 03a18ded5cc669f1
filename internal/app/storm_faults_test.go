package app_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/cxrelay/cxrelay/internal/devkit"
)

const stormBrokers = 3

// lasting draws a length between milliseconds and most, short ones more often.
func lasting(dice *rand.Rand, most time.Duration) time.Duration {
	long := []time.Duration{most / 100, most / 10, most}[dice.IntN(3)]
	return time.Millisecond + time.Duration(dice.Int64N(int64(long)))
}

// someNodes draws one broker, or all of them.
func someNodes(dice *rand.Rand) []int32 {
	if dice.IntN(3) == 0 {
		return []int32{0, 1, 2}
	}
	return []int32{dice.Int32N(stormBrokers)}
}

func stormTopics() []string { return append([]string{"four", "five"}, seedTopics...) }

// wireFaults are those between the relay and the brokers.
func wireFaults() []func(*rand.Rand) act {
	weather := func(what string, most time.Duration, w func(*rand.Rand) devkit.Weather) func(*rand.Rand) act {
		return func(dice *rand.Rand) act {
			nodes, now := someNodes(dice), w(dice)
			moved := time.Duration(dice.Int64N(int64(12 * time.Second)))
			if len(nodes) == stormBrokers || dice.IntN(2) == 0 {
				moved = -1
			}
			return act{
				name: fmt.Sprintf("%s: nodes %v, %+v, leaders move after %s", what, nodes, now, moved), length: lasting(dice, most),
				begin: func(st *storm) {
					for _, n := range nodes {
						st.w.kafka.SetWeather(n, now)
						st.moveSoon(n, moved)
					}
				},
				end: func(st *storm) {
					for _, n := range nodes {
						if now.DropUp || now.DropDown { // what lost bytes is reset
							st.w.kafka.SetWeather(n, devkit.Weather{Refuse: true})
						}
						st.w.kafka.SetWeather(n, devkit.Weather{})
					}
				},
			}
		}
	}
	return []func(*rand.Rand) act{
		weather("cut", 20*time.Second, func(*rand.Rand) devkit.Weather { return devkit.Weather{Refuse: true} }),
		weather("black hole", 20*time.Second, func(dice *rand.Rand) devkit.Weather {
			way := dice.IntN(3)
			return devkit.Weather{DropUp: way != 1, DropDown: way != 0}
		}),
		weather("slow", 15*time.Second, func(dice *rand.Rand) devkit.Weather {
			return devkit.Weather{Delay: time.Duration(dice.IntN(1500)) * time.Millisecond, Rate: []int{0, 1 << 10, 20 << 10}[dice.IntN(3)]}
		}),
		func(dice *rand.Rand) act { // hang
			nodes := someNodes(dice)
			moved := time.Duration(dice.Int64N(int64(12 * time.Second)))
			if len(nodes) == stormBrokers || dice.IntN(2) == 0 {
				moved = -1
			}
			return act{
				name: fmt.Sprintf("hang: nodes %v, leaders move after %s", nodes, moved), length: lasting(dice, 25*time.Second),
				begin: func(st *storm) {
					for _, n := range nodes {
						st.w.kafka.Hang(n)
						st.moveSoon(n, moved)
					}
				},
				end: func(st *storm) {
					for _, n := range nodes {
						st.w.kafka.Wake(n)
					}
				},
			}
		},
		func(dice *rand.Rand) act { // flaps
			node, times := dice.Int32N(stormBrokers), 3+dice.IntN(10)
			every := time.Duration(20+dice.IntN(500)) * time.Millisecond
			return act{
				name: fmt.Sprintf("flap: node %d, %d times every %s", node, times, every),
				begin: func(st *storm) {
					for i := range times {
						st.w.kafka.SetWeather(node, devkit.Weather{Refuse: i%2 == 0})
						pass(every)
					}
					st.w.kafka.SetWeather(node, devkit.Weather{})
				},
			}
		},
	}
}

// moveSoon gives the partitions of a node to the next one after a while, as a
// controller does; negative: never.
func (st *storm) moveSoon(node int32, after time.Duration) {
	if after < 0 {
		return
	}
	time.AfterFunc(after, func() {
		st.eachPartition(func(topic string, p int32) {
			if st.w.kafka.Cluster.LeaderFor(topic, p) == node {
				_ = st.w.kafka.Cluster.MoveTopicPartition(topic, p, (node+1)%stormBrokers) // it may be deleted meanwhile
			}
		})
	})
}

func (st *storm) eachPartition(do func(topic string, p int32)) {
	for _, topic := range stormTopics() {
		for p := range st.w.kafka.Cluster.PartitionInfos(topic) {
			do(topic, int32(p)) //nolint:gosec // a few
		}
	}
}

// producing are errors of Produce: some pass, some are final for the record.
func producing() []*kerr.Error {
	return []*kerr.Error{
		kerr.NotLeaderForPartition, kerr.NotEnoughReplicas, kerr.NotEnoughReplicasAfterAppend, kerr.RequestTimedOut, kerr.LeaderNotAvailable,
		kerr.KafkaStorageError, kerr.NetworkException, kerr.UnknownTopicOrPartition, kerr.CorruptMessage, kerr.FencedLeaderEpoch, kerr.UnknownLeaderEpoch,
		kerr.TopicAuthorizationFailed, kerr.ClusterAuthorizationFailed, kerr.MessageTooLarge, kerr.RecordListTooLarge, kerr.InvalidRecord, kerr.InvalidTimestamp,
		kerr.PolicyViolation, kerr.UnknownTopicID, kerr.UnknownServerError, kerr.ThrottlingQuotaExceeded, kerr.BrokerNotAvailable, kerr.ReplicaNotAvailable,
		kerr.OutOfOrderSequenceNumber, kerr.UnknownProducerID, kerr.InvalidProducerEpoch, kerr.InvalidProducerIDMapping, kerr.UnsupportedForMessageFormat,
	}
}

// asking are errors of what the relay asks besides.
func asking() []*kerr.Error {
	return []*kerr.Error{
		kerr.LeaderNotAvailable, kerr.RequestTimedOut, kerr.CoordinatorLoadInProgress, kerr.UnknownServerError, kerr.NotController, kerr.UnknownTopicOrPartition,
		kerr.TopicAuthorizationFailed, kerr.ClusterAuthorizationFailed, kerr.NetworkException, kerr.BrokerNotAvailable, kerr.InvalidTopicException,
	}
}

// kafkaFaults are those of the brokers themselves.
func kafkaFaults() []func(*rand.Rand) act {
	return []func(*rand.Rand) act{
		failing("produce", []kmsg.Key{kmsg.Produce}, producing()),
		failing("produce", []kmsg.Key{kmsg.Produce}, producing()),
		failing("applied", []kmsg.Key{kmsg.Produce}, []*kerr.Error{kerr.NotEnoughReplicasAfterAppend, kerr.RequestTimedOut}),
		failing("asking", []kmsg.Key{kmsg.Metadata}, asking()),
		failing("asking", []kmsg.Key{kmsg.DescribeConfigs, kmsg.ApiVersions, kmsg.InitProducerID}, asking()),
		func(dice *rand.Rand) act {
			times := 1 + dice.IntN(8)
			every := time.Duration(dice.IntN(1500)) * time.Millisecond
			return act{name: fmt.Sprintf("leaders move: %d times every %s", times, every), begin: func(st *storm) {
				for range times {
					st.eachPartition(func(topic string, p int32) {
						_ = st.w.kafka.Cluster.MoveTopicPartition(topic, p, dice.Int32N(stormBrokers)) // it may be deleted meanwhile
					})
					pass(every)
				}
			}}
		},
		func(dice *rand.Rand) act {
			topic, n := stormTopics()[dice.IntN(6)], 9+dice.IntN(16)
			return act{name: fmt.Sprintf("%s grows to %d", topic, n), begin: func(st *storm) {
				st.admin(func(ctx context.Context, adm *kadm.Client) { _, _ = adm.UpdatePartitions(ctx, n, topic) }) // it may have more, or be gone
			}}
		},
		func(dice *rand.Rand) act {
			topic := stormTopics()[dice.IntN(6)]
			return act{name: topic + " is deleted, and made again", length: max(0, lasting(dice, 8*time.Second)-40*time.Millisecond),
				begin: func(st *storm) {
					if err := st.w.kafka.Cluster.DeleteTopic(topic); err != nil {
						st.w.t.Error(err)
					}
					st.w.deleted = append(st.w.deleted, deletion{topic, st.w.ticks.Add(1)})
				},
				end: func(st *storm) {
					if err := st.w.kafka.Cluster.CreateTopic(topic, 8+dice.Int32N(2)*4, nil); err != nil {
						st.w.t.Error(err)
					}
				},
			}
		},
		func(dice *rand.Rand) act {
			topic, limit := stormTopics()[dice.IntN(6)], fmt.Sprint(2000+dice.IntN(1<<20))
			return act{name: fmt.Sprintf("max.message.bytes of %s is %s", topic, limit), begin: func(st *storm) {
				st.admin(func(ctx context.Context, adm *kadm.Client) {
					_, _ = adm.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Name: "max.message.bytes", Value: &limit}}, topic) // it may be gone
				})
			}}
		},
	}
}

// failing are answers with an error: to a few requests, or to all for a while.
func failing(what string, keys []kmsg.Key, errs []*kerr.Error) func(*rand.Rand) act {
	return func(dice *rand.Rand) act {
		f := kfake.Fault{Keys: keys[dice.IntN(len(keys)):][:1], Err: errs[dice.IntN(len(errs))], TopLevel: dice.IntN(2) == 0}
		if dice.IntN(2) == 0 {
			f.Nodes = someNodes(dice)
		}
		if what != "asking" && dice.IntN(2) == 0 {
			f.Topic = stormTopics()[dice.IntN(6)]
		}
		f.Count = 1 + dice.IntN(6)
		length := lasting(dice, time.Second)
		if dice.IntN(3) == 0 {
			f.Count, length = -1, lasting(dice, 8*time.Second)
		}
		var handle *kfake.FaultHandle
		return act{
			name: fmt.Sprintf("%s: %v answers %s (topic %q, nodes %v, top level %t, %d times)", what, f.Keys, f.Err.Message, f.Topic, f.Nodes, f.TopLevel, f.Count), length: length,
			begin: func(st *storm) { handle = st.w.kafka.Cluster.Fault(f) },
			end:   func(*storm) { handle.Remove() },
		}
	}
}

// admin does something with the cluster that no weather keeps from it.
func (st *storm) admin(do func(ctx context.Context, adm *kadm.Client)) {
	ctx, cancel := context.WithTimeout(st.w.t.Context(), 5*time.Second)
	defer cancel()
	cl, err := kgo.NewClient(append(st.w.reader, kgo.SeedBrokers(st.w.kafka.Brokers...), kgo.Dialer(st.w.kafka.Backdoor))...)
	if err != nil {
		st.w.t.Error(err)
		return
	}
	defer cl.Close()
	do(ctx, kadm.NewClient(cl))
}

// registryFaults are those of the registry.
func registryFaults() []func(*rand.Rand) act {
	good := subjects("cxone-data-action-v1")
	var all []func(*rand.Rand) act
	add := func(name string, handle http.HandlerFunc) {
		all = append(all, func(dice *rand.Rand) act {
			return act{
				name: "registry: " + name, length: lasting(dice, 25*time.Second),
				begin: func(st *storm) { st.w.registry.set(func(r *registry) { r.handle = handle }) },
				end:   func(st *storm) { st.w.registry.set(func(r *registry) { r.handle = good }) },
			}
		})
	}
	known := faults()
	for _, name := range []string{"429", "429 with Retry-After", "500", "subject deleted", "hang", "garbage", "half an answer", "redirect", "schema does not compile"} {
		add(name, known[name].handle)
	}
	add("a new version", version(2, strings.Replace(devkit.DevSchema, `"minimum": 1`, `"minimum": 1, "maximum": 1000000`, 1)))
	return all
}
