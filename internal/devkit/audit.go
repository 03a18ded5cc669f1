package devkit

import (
	"fmt"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// audit looks at every produce request that a cluster gets. Safe for
// concurrent use.
type audit struct {
	mu     sync.Mutex
	seen   int
	wrong  []string
	newest map[int64]int16      // epoch by producer id
	epochs map[producer]int16   // the newest in one partition
	mixed  map[partitionOf]bool // see Confused
}

type partitionOf struct {
	topic     [16]byte // its id
	partition int32
}

type producer struct {
	id int64
	at partitionOf
}

func newAudit() audit {
	return audit{newest: map[int64]int16{}, epochs: map[producer]int16{}, mixed: map[partitionOf]bool{}}
}

// look notes every produce request that is not acks=all and idempotent.
func (a *audit) look(req kmsg.Request) {
	p, ok := req.(*kmsg.ProduceRequest)
	if !ok {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.seen++
	if p.Acks != -1 {
		a.wrong = append(a.wrong, fmt.Sprintf("acks=%d", p.Acks))
	}
	for _, t := range p.Topics {
		for _, part := range t.Partitions {
			if len(part.Records) == 0 {
				continue // the client gave this batch up while it wrote the request
			}
			var b kmsg.RecordBatch
			if err := b.ReadFrom(part.Records); err != nil {
				a.wrong = append(a.wrong, "unreadable batch: "+err.Error())
			} else if b.ProducerID < 0 {
				a.wrong = append(a.wrong, "a batch without producer id")
			}
			a.epoch(partitionOf{t.TopicID, part.Partition}, &b)
		}
	}
}

// epoch notes a batch that the cluster is going to refuse and Kafka would not.
func (a *audit) epoch(at partitionOf, b *kmsg.RecordBatch) {
	here := producer{b.ProducerID, at}
	if b.ProducerEpoch >= a.epochs[here] && b.ProducerEpoch < a.newest[b.ProducerID] {
		a.mixed[at] = true
	}
	a.epochs[here] = max(a.epochs[here], b.ProducerEpoch)
	a.newest[b.ProducerID] = max(a.newest[b.ProducerID], b.ProducerEpoch)
}

// Produced returns how many produce requests there were, and what was wrong
// with any of them: each must be acks=all and carry a producer id.
func (v *VirtualKafka) Produced() (requests int, wrong []string) {
	v.audit.mu.Lock()
	defer v.audit.mu.Unlock()
	return v.audit.seen, slices.Clone(v.audit.wrong)
}

// Confused tells whether the cluster refused a batch of a partition because
// another partition has a newer epoch of its producer: kfake keeps one epoch
// for all of them, Kafka one in each (its ProducerStateManager belongs to a
// log). What the client sends again after that may be there twice.
func (v *VirtualKafka) Confused(topic string, partition int32) bool {
	info := v.Cluster.TopicInfo(topic)
	v.audit.mu.Lock()
	defer v.audit.mu.Unlock()
	return info != nil && v.audit.mixed[partitionOf{info.TopicID, partition}]
}
