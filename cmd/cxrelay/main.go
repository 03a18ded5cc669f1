// Command cxrelay receives signed webhooks and writes them into Kafka.
//
// Every command has a file of its own, with a constructor that root.go adds
// to the tree. The commands parse flags, call the packages under internal and
// print; they decide nothing about events.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the second signal ends the process at once
	os.Exit(Main(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
