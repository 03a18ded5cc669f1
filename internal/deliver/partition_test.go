package deliver

import (
	"hash/crc32"
	"testing"
)

// TestMurmur2 uses the vectors of Kafka's own UtilsTest.testMurmur2.
func TestMurmur2(t *testing.T) {
	for key, want := range map[string]int32{
		"21":                         -973932308,
		"foobar":                     -790332482,
		"a-little-bit-long-string":   -985981536,
		"a-little-bit-longer-string": -1486304829,
		"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
		"abc": 479470107,
	} {
		if got := int32(murmur2([]byte(key))); got != want {
			t.Errorf("murmur2(%q) = %d, want %d", key, got, want)
		}
	}
}

func TestPartition(t *testing.T) {
	for _, n := range []int32{1, 2, 7, 8, 12, 1000} {
		for _, key := range []string{"21", "foobar", "abc", "pk-cbf29ce484222325"} {
			if got, want := Murmur2.Partition([]byte(key), n), int32(murmur2([]byte(key))&0x7fffffff)%n; got != want || got < 0 || got >= n {
				t.Errorf("murmur2 %q of %d: %d, want %d", key, n, got, want)
			}
			if got, want := CRC32.Partition([]byte(key), n), int32(uint64(crc32.ChecksumIEEE([]byte(key)))%uint64(n)); got != want {
				t.Errorf("crc32 %q of %d: %d, want %d", key, n, got, want)
			}
		}
	}
	// RFC 1952's check value of CRC-32: "123456789" gives 0xCBF43926.
	if got := CRC32.Partition([]byte("123456789"), 1<<30); got != 0xCBF43926%(1<<30) {
		t.Errorf("crc32 check value: %#x", got)
	}
}
