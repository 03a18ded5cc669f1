package signature_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/cxrelay/cxrelay/internal/signature"
)

// TestUnverified: it accepts what no other verifier does, and only it does.
func TestUnverified(t *testing.T) {
	v := signature.Unverified()
	nothing := func(string) []string { return nil }
	if i, err := v.Verify(nothing, nil, time.Time{}); i != 0 || err != nil {
		t.Errorf("secret %d, error %v", i, err)
	}
	if ids := v.Secrets(); len(ids) != 1 || ids[0] != "none" {
		t.Errorf("ids %q", ids)
	}
	if got := fmt.Sprint(v); got != "signature.Verifier( [none])" {
		t.Error(got)
	}
	for _, secrets := range [][]signature.Secret{nil, {}, {{ID: "a", Value: []byte("x")}}} {
		if v, err := signature.NewVerifier(signature.Scheme{}, secrets); err == nil {
			t.Errorf("%v: a scheme of nothing makes %v", secrets, v)
		}
	}
	if scheme, ok := signature.Preset("none"); ok || scheme != (signature.Scheme{}) {
		t.Errorf("preset none is %+v", scheme)
	}
}
