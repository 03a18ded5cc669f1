package main

import (
	"strings"
	"syscall"
	"testing"

	"github.com/cxrelay/cxrelay/internal/app"
)

// TestExplainStart: an address that is taken is told with its key, its variable
// and, where outgoing connections may have the port, with that.
func TestExplainStart(t *testing.T) {
	for address, want := range map[string]string{
		"127.0.0.1:40000": "\nset admin.address in the file, or CXRELAY_ADMIN_ADDRESS, to a free address\nLinux lends port 40000 to outgoing connections: one of them may have it just now; choose a port below 32768",
		"127.0.0.1:9640":  "\nset admin.address in the file, or CXRELAY_ADMIN_ADDRESS, to a free address",
	} {
		got := explainStart(&app.AddressError{Key: "admin.address", Address: address, Err: syscall.EADDRINUSE}).Error()
		if !strings.HasSuffix(got, want) {
			t.Errorf("%s: %s", address, got)
		}
	}
	denied := &app.AddressError{Key: "listen.address", Address: ":40000", Err: syscall.EACCES}
	if got := explainStart(denied).Error(); strings.Contains(got, "lends") {
		t.Error(got)
	}
}
