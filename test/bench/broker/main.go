// Command broker is the other end of the measurement: an in-process Kafka
// broker and a Schema Registry in a process of their own, so that their CPU
// is nobody's. Records are acknowledged and thrown away, which bounds memory.
//
// It prints one JSON line with its addresses and ends on SIGTERM.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"

	"github.com/cxrelay/cxrelay/test/bench/traffic"
)

func main() {
	name := flag.String("case", "flat", "corpus case whose schema the registry holds")
	flag.Parse()
	if err := serve(*name); err != nil {
		fmt.Fprintln(os.Stderr, "broker:", err)
		os.Exit(1)
	}
}

// serve runs broker and registry until SIGTERM.
func serve(name string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	load, err := traffic.Find(name)
	if err != nil {
		return err
	}
	cluster, err := kfake.NewCluster(
		kfake.NumBrokers(1),
		kfake.BlackholeProduce(),
		kfake.SeedTopics(8, traffic.Topics()...),
	)
	if err != nil {
		return fmt.Errorf("start broker: %w", err)
	}
	defer cluster.Close()

	registry := srfake.New()
	defer registry.Close()
	if _, _, err := registry.RegisterSchema("cxone-data-action-v1", sr.Schema{Schema: load.Schema, Type: sr.TypeJSON}); err != nil {
		return fmt.Errorf("register schema: %w", err)
	}

	err = json.NewEncoder(os.Stdout).Encode(map[string]string{
		"kafka":    cluster.ListenAddrs()[0],
		"registry": registry.URL(),
	})
	if err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}
