package program

import (
	"math"

	"github.com/cxrelay/cxrelay/internal/jsontape"
)

// task is what a node has left to check of a value once its kind is known.
// Most values need one thing or nothing, and apply goes to it at once.
type task uint8

const (
	taskNone    task = iota // the value is valid
	taskRefuse              // it is of a wrong kind
	taskInteger             // type integer, or bounds of integers
	taskNumber              // other keywords about numbers
	taskLength              // lengths alone
	taskFormat              // a format of ours alone
	taskText                // other keywords about strings
	taskObject
	taskArray
	taskValue  // enum or const
	taskMore   // more than one of these, or keywords that apply other schemas
	taskMarked // what a node does that is slow
)

// settle prepares the finished nodes for apply.
func (p *Program) settle() {
	for i := range p.nodes {
		n := &p.nodes[i]
		n.slow = p.dynamic || n.leftover != nil
		for kind := jsontape.Null; kind <= jsontape.Object; kind++ {
			n.tasks[kind] = n.task(kind)
		}
		if n.object != nil {
			p.settleObject(n.object)
		}
	}
}

func (n *node) task(kind jsontape.Kind) task {
	switch {
	case n.kinds>>kind&1 == 0:
		return taskRefuse
	case n.pass>>kind&1 != 0:
		return taskNone
	case n.slow:
		return taskMarked
	case n.inPlace != nil:
		return taskMore
	}
	own := n.ownTask(kind)
	switch {
	case n.values == nil:
		return own
	case own == taskNone && n.values.also == nil:
		return taskValue
	default:
		return taskMore
	}
}

// ownTask is the task of the keywords that know this kind alone.
func (n *node) ownTask(kind jsontape.Kind) task {
	switch {
	case kind == jsontape.Number && n.number != nil && len(n.number.divisors) == 0:
		return taskInteger
	case kind == jsontape.Number && (n.number != nil || n.integerOnly):
		return taskNumber
	case kind == jsontape.String && n.text != nil:
		return n.text.task()
	case kind == jsontape.Object && n.object != nil:
		return taskObject
	case kind == jsontape.Array && n.array != nil:
		return taskArray
	default:
		return taskNone
	}
}

func (t *textRules) task() task {
	switch {
	case t.pattern == nil && t.format == nil:
		return taskLength
	case t.pattern == nil && t.format.check != nil && t.shortest == 0 && t.longest == math.MaxInt:
		return taskFormat
	default:
		return taskText
	}
}

// settleObject writes beside every name of a plain object which node its
// value must match.
func (p *Program) settleObject(o *objectRules) {
	node := func(id ref) *node {
		if id == none {
			return nil
		}
		return &p.nodes[id]
	}
	o.other = node(o.others)
	for i := range o.names.slots {
		s := &o.names.slots[i]
		if s.index == 0 {
			continue
		}
		if s.sub = node(o.members[s.index-1]); s.sub == nil {
			s.sub = o.other
		}
	}
}
