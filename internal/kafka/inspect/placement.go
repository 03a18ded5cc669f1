package inspect

// Verdict is what a sample says about where keyed records lie.
type Verdict uint8

// The verdicts.
const (
	NoKeys     Verdict = iota // nothing to judge: no keyed record, not readable, or one partition
	FewKeys                   // not all lie as ours would, but they are too few to say how they do
	AsOurs                    // where this relay would put them
	OtherCount                // this relay's partitioner over another partition count
	OtherHash                 // another known partitioner
	NoHash                    // no known partitioner over any count
)

// Placement is the reading of a sample.
type Placement struct {
	Verdict    Verdict
	Hash       string // the partitioner that explains the sample; "" for NoKeys, FewKeys, NoHash
	Partitions int32  // over so many partitions
	Keys       int    // distinct keys
}

const (
	// enoughKeys are needed to accuse: eight keys lie by chance where another
	// partitioner puts them once in 8^8 times with eight partitions.
	enoughKeys = 8
	// agreeing percent of the keys decide. The rest may be records that
	// somebody put there by hand.
	agreeing = 95
	// maxCounts bounds the search for the count that records were placed over.
	maxCounts = 1024
)

// Place reads the sample of t. It first asks whether the keys lie where the
// relay puts them, then whether its partitioner over fewer partitions explains
// them (the topic has grown), then whether another partitioner does.
func (p Policy) Place(t Topic) Placement {
	keys := t.Sample.Keys
	out := Placement{Keys: len(keys)}
	if len(keys) == 0 || len(p.Hashes) == 0 {
		return out
	}
	used, ours := p.Used(t), p.Hashes[0]
	if explains(ours, used, keys) {
		return Placement{AsOurs, ours.Name, used, len(keys)}
	}
	if len(keys) < enoughKeys {
		out.Verdict = FewKeys
		return out
	}
	for i, h := range p.Hashes {
		verdict := OtherCount
		if i > 0 {
			verdict = OtherHash
			if explains(h, used, keys) {
				return Placement{verdict, h.Name, used, len(keys)}
			}
		}
		for n := min(t.Partitions, maxCounts); n > 1; n-- {
			if explains(h, n, keys) {
				return Placement{verdict, h.Name, n, len(keys)}
			}
		}
	}
	out.Verdict = NoHash
	return out
}

// explains tells whether h over n partitions puts the keys where they lie.
func explains(h Hash, n int32, keys []PlacedKey) bool {
	if n < 1 {
		return false
	}
	misses, allowed := 0, len(keys)*(100-agreeing)/100
	for _, k := range keys {
		if h.Partition([]byte(k.Key), n) != k.Partition {
			if misses++; misses > allowed {
				return false
			}
		}
	}
	return true
}
