package jsontape

import (
	"encoding/binary"
	"math/bits"
)

// HashName returns the hash that the scanner gives a member's name (Node.Hash)
// whose decoded form is name. It is cheap and the same in every process: it
// looks at the length and at up to 24 bytes. So different names may share it,
// and whoever sends a text can see to it; it is for finding a name among few,
// or in a table that the sender does not fill.
func HashName(name string) uint32 {
	return hashName([]byte(name), 0, len(name)) // the compiler makes no copy
}

// hashName hashes b[i:i+n]. It may read beyond, and ignores what it reads
// there.
func hashName(b []byte, i, n int) uint32 {
	if i+8 > len(b) {
		var near [8]byte
		copy(near[:], b[i:])
		return hashWords(binary.LittleEndian.Uint64(near[:])&(1<<(8*n)-1), 0, n)
	}
	first := binary.LittleEndian.Uint64(b[i:])
	switch {
	case n < 8:
		return hashWords(first&(1<<(8*n)-1), 0, n)
	case n > 16:
		first ^= bits.RotateLeft64(binary.LittleEndian.Uint64(b[i+n/2-4:]), 29)
	}
	return hashWords(first, binary.LittleEndian.Uint64(b[i+n-8:]), n)
}

func hashWords(first, last uint64, n int) uint32 {
	const k1, k2 = 0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F
	hi, lo := bits.Mul64(first^k1, last^k2^uint64(n)<<56)
	return uint32(hi ^ lo ^ (hi^lo)>>32)
}
