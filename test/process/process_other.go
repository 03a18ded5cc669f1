//go:build unix && !linux

package process

import "syscall"

// untilParentDies can only do half of it here: a test program that ends
// without its cleanups leaves its processes behind.
func untilParentDies() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
