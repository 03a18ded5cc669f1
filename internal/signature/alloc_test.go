//go:build !race

package signature_test

import (
	"testing"

	"github.com/cxrelay/cxrelay/internal/signature"
)

// Under the race detector sync.Pool drops entries at random, so the figure
// means something only without it.
func TestVerifyDoesNotAllocate(t *testing.T) {
	for _, name := range signature.PresetNames() {
		s, k := preset(t, name), secret("a", "user:pw")
		if s.SecretEncoding == signature.SecretWhsec {
			k.Value = []byte("whsec_AAAA")
		}
		v, h, b, now := verifier(t, s, k), sign(t, s, k, body), []byte(body), at()
		allocs := testing.AllocsPerRun(500, func() {
			if _, err := v.Verify(h.values, b, now); err != nil {
				t.Fatal(err)
			}
		})
		if allocs >= 1 { // a collection may empty the pool once
			t.Errorf("%s: %v allocations", name, allocs)
		}
	}
}
