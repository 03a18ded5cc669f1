package deliver

import "hash/crc32"

// Partitioner is the hash that maps a record key to a partition.
type Partitioner uint8

// The partitioners.
const (
	Murmur2 Partitioner = iota // the Java client's default, and kgo's
	CRC32                      // librdkafka's default for keyed records (consistent_random)
)

// Partition returns the partition of key among n > 0 partitions.
func (p Partitioner) Partition(key []byte, n int32) int32 {
	if p == CRC32 {
		return int32(crc32.ChecksumIEEE(key) % uint32(n)) //nolint:gosec // n is positive, the remainder below it
	}
	return int32(murmur2(key)&0x7fffffff) % n //nolint:gosec // masked to 31 bits, as Java's toPositive
}

// murmur2 is the 32-bit MurmurHash2 of org.apache.kafka.common.utils.Utils,
// with its seed.
func murmur2(b []byte) uint32 {
	const seed, m, r = 0x9747b28c, 0x5bd1e995, 24
	h := uint32(seed) ^ uint32(len(b)) //nolint:gosec // keys are far below 4 GiB
	for len(b) >= 4 {
		k := uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
		k *= m
		k ^= k >> r
		k *= m
		h *= m
		h ^= k
		b = b[4:]
	}
	switch len(b) {
	case 3:
		h ^= uint32(b[2]) << 16
		fallthrough
	case 2:
		h ^= uint32(b[1]) << 8
		fallthrough
	case 1:
		h ^= uint32(b[0])
		h *= m
	}
	h ^= h >> 13
	h *= m
	h ^= h >> 15
	return h
}
