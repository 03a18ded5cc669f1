package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/cxrelay/cxrelay/internal/app"
	"github.com/cxrelay/cxrelay/internal/config"
	"github.com/cxrelay/cxrelay/internal/devkit"
)

// devFlags are the flags of `cxrelay dev`.
type devFlags struct {
	listen, kafka, registry, admin string
	secret                         string
	format                         *format
}

// newDevCommand is `cxrelay dev`: everything in one process.
func newDevCommand() *cobra.Command {
	var f devFlags
	var logging logFlags
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run a relay with its own Kafka broker and schema registry",
		Long: `Run a relay with an in-process Kafka broker and Schema Registry, four topics
and a sample schema: nothing leaves this machine, and all data is in memory.
Any Kafka client, such as kcat, can read from the broker.`,
		Args: positional(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.secret == "" {
				return usageError("--secret is empty: anybody could sign")
			}
			return runDev(cmd, f, logging)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.listen, "listen", "127.0.0.1:8080", "address of the webhook listener; port 0 picks a free one")
	flags.StringVar(&f.kafka, "kafka", "127.0.0.1:9092", "address of the Kafka broker")
	flags.StringVar(&f.registry, "registry", "127.0.0.1:8081", "address of the Schema Registry")
	flags.StringVar(&f.admin, "admin", "127.0.0.1:9640", "address of the admin listener")
	flags.StringVar(&f.secret, "secret", "dev-secret", "secret that signs the webhooks")
	f.format = formatFlag(cmd)
	logging.add(cmd, "warn")
	return cmd
}

func runDev(cmd *cobra.Command, f devFlags, logging logFlags) (err error) {
	log, level, err := logging.logger(cmd)
	if err != nil {
		return err
	}
	broker, err := devkit.StartKafka(devkit.KafkaOptions{Addr: f.kafka, Topics: devTopics})
	if err != nil {
		return inUse(err, "--kafka", f.kafka)
	}
	defer broker.Close()
	registry, err := devkit.NewRegistry(devkit.RegistryOptions{Addr: f.registry})
	if err != nil {
		return inUse(err, "--registry", f.registry)
	}
	defer func() { err = errors.Join(err, registry.Close()) }()
	if _, err := registry.Register(devkit.DevSubject, devkit.DevSchema); err != nil {
		return fmt.Errorf("sample schema: %w", err)
	}

	cfg, err := loadConfig(config.Source{
		Env: []string{"CXONE_WEBHOOK_SECRET=" + f.secret},
		Overrides: map[string]string{
			"kafka.brokers": broker.Addr(), "schema.registry.urls": registry.URL(),
			"listen.address": f.listen, "admin.address": f.admin, "instance": "dev",
		},
	}, log)
	if err != nil {
		return err
	}
	out := newDevPrinter(cmd.OutOrStdout(), *f.format)
	relay, err := app.New(app.Options{Config: cfg, Build: appBuild(), Log: log, Level: level, OnVerdict: out.verdict, SkipInspection: true})
	if err != nil {
		var addr *app.AddressError
		if errors.As(err, &addr) {
			return inUse(err, map[string]string{"listen.address": "--listen", "admin.address": "--admin"}[addr.Key], addr.Address)
		}
		return err
	}
	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- relay.Run(ctx) }()
	if err := untilReady(ctx, relay, done); err != nil {
		return err
	}
	out.ready(readyFacts{
		Event: "ready", Webhook: "http://" + relay.WebhookAddr() + cfg.Sources[0].Path, Kafka: broker.Addr(),
		Registry: registry.URL(), Admin: "http://" + relay.AdminAddr(), Secret: f.secret,
	})
	return <-done
}

// devTopics are the topics of the default routes.
var devTopics = []string{"cxone.interactions.raw", "cxone.dispositions.raw", "cxone.transfers.raw", "cxone.calls.terminated"}

// untilReady waits until events are accepted. It gives up after ten seconds:
// everything is in this process, so that something is broken then.
func untilReady(ctx context.Context, relay *app.App, done <-chan error) error {
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	limit := time.After(10 * time.Second)
	for {
		select {
		case <-ctx.Done():
			return <-done
		case err := <-done:
			return err
		case <-limit:
			return fmt.Errorf("not ready after 10 s: %v", relay.Readiness().Missing)
		case <-look.C:
			if relay.Readiness().Ready {
				return nil
			}
		}
	}
}

// inUse names the port and the flag of an address that is taken.
func inUse(err error, flag, address string) error {
	if !errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%s %s: %w", flag, address, err)
	}
	_, port, splitErr := net.SplitHostPort(address)
	if splitErr != nil {
		port = address
	}
	return fmt.Errorf("port %s is in use: choose another with %s (port 0 picks a free one)", port, flag)
}
