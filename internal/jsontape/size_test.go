//go:build linux && (amd64 || arm64)

package jsontape_test

import (
	"errors"
	"syscall"
	"testing"

	"github.com/cxrelay/cxrelay/internal/jsontape"
)

// A text whose offsets would not fit is refused by its length alone: the
// pages of this one cannot be read, and take no memory.
func TestTooLong(t *testing.T) {
	text, err := syscall.Mmap(-1, 0, jsontape.MaxLen+1, syscall.PROT_NONE, syscall.MAP_ANON|syscall.MAP_PRIVATE|syscall.MAP_NORESERVE)
	if err != nil {
		t.Skipf("no address space: %v", err)
	}
	defer func() {
		if err := syscall.Munmap(text); err != nil {
			t.Error(err)
		}
	}()
	var doc jsontape.Doc
	var fault *jsontape.SyntaxError
	if err := doc.Parse(text, jsontape.Limits{}); !errors.As(err, &fault) || fault.Offset != jsontape.MaxLen {
		t.Errorf("got %v, want a SyntaxError at byte %d", err, jsontape.MaxLen)
	}
	doc.Reset()
}
