package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/cxrelay/cxrelay/internal/app"
	"github.com/cxrelay/cxrelay/internal/devkit"
)

// devGCPercent has the garbage collector run at twice its usual rate: a broker
// that keeps everything in memory makes a lot of garbage.
const devGCPercent = 50

// devFlags are the flags of `cxrelay dev`.
type devFlags struct {
	listen, kafka, registry, admin string
	secret, data                   string
	format                         *format
}

// newDevCommand is `cxrelay dev`: everything in one process.
func newDevCommand() *cobra.Command {
	var f devFlags
	var file *configFlag
	var logging logFlags
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run a relay with its own Kafka broker and schema registry",
		Long: `Run a relay with an in-process Kafka broker and Schema Registry, four topics
and a sample schema: nothing leaves this machine, and all data is in memory.
Any Kafka client, such as kcat, can read from the broker.

With --config the relay has your sources, routes and limits. In the place of
the cluster and the registry that the file names it has those of this process,
and its listeners keep the ports of the file, on loopback; each such
replacement is printed at the start. Topics are made with the partition counts
that the file pins. The folder "schemas" beside the file holds one JSON Schema
for each subject, SUBJECT.json; a $ref to another file of the folder works.
Where the file of a secret is missing, there is a throw-away one, which is
printed. The file is loaded again at SIGHUP and when it changes, as by "serve",
and with it the schemas. Of the environment only the variables that the file
names count, and ` + secretEnv + ` for the built-in source.

With --data DIR records, schemas and the offsets of consumer groups outlive a
restart, also after kill -9, though not a power cut. One process at a time has
the folder.

The broker keeps the last 1 MiB or so of each partition; in memory, for a day.
With 600,000 events sent to 32 partitions as fast as they are answered, the
whole process stays below 200 MB.

On an address off loopback, such as :8080 or 0.0.0.0:9092, a listener can be
reached from the network; broker and registry ask nobody for a password. Where
no host is given, the addresses that are printed, and the one that Kafka clients
are told, say localhost. Give a host that the others can reach to serve them.`,
		Example: "  cxrelay dev\n  cxrelay dev --config cxrelay.yaml --data .cxrelay",
		Args:    positional(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(cmd); err != nil {
				return err
			}
			return runDev(cmd, f, file, logging)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.listen, "listen", "127.0.0.1:8080", "address of the webhook listener; port 0 picks a free one")
	flags.StringVar(&f.kafka, "kafka", "127.0.0.1:9092", "address of the Kafka broker; port 0 picks a free one")
	flags.StringVar(&f.registry, "registry", "127.0.0.1:8081", "address of the Schema Registry; port 0 picks a free one")
	flags.StringVar(&f.admin, "admin", "127.0.0.1:9640", "address of the admin listener; port 0 picks a free one")
	flags.StringVar(&f.secret, "secret", defaultSecret, "secret that signs the webhooks; with --config, the throw-away one")
	flags.StringVar(&f.data, "data", "", "folder that keeps records, schemas and offsets over a restart")
	file = addConfigFlag(cmd)
	f.format = formatFlag(cmd)
	logging.add(cmd, "warn")
	return cmd
}

// devAddress is one listener's flag.
type devAddress struct{ flag, address string }

func (f *devFlags) addresses() []devAddress {
	return []devAddress{{"--listen", f.listen}, {"--kafka", f.kafka}, {"--registry", f.registry}, {"--admin", f.admin}}
}

// exposed returns the listeners that can be reached from the network.
func (f *devFlags) exposed() []devAddress {
	var open []devAddress
	for _, a := range f.addresses() {
		tcp, err := net.ResolveTCPAddr("tcp", a.address)
		if err != nil || !tcp.IP.IsLoopback() { // no host: every interface
			open = append(open, a)
		}
	}
	return open
}

// warn tells of listeners that can be reached from the network.
func (f *devFlags) warn(stderr io.Writer) {
	for _, a := range f.exposed() {
		more := ""
		switch told := usable(a.address); {
		case a.flag == "--kafka" && told != a.address:
			more = "; it asks for no password, and tells its clients " + told
		case a.flag == "--kafka" || a.flag == "--registry":
			more = "; it asks for no password"
		}
		fmt.Fprintf(stderr, "cxrelay: warning: %s %s can be reached from the network%s\n", a.flag, a.address, more)
	}
}

// usable is an address to connect to on this machine: localhost where a
// listener has every interface.
func usable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	if ip := net.ParseIP(host); host != "" && (ip == nil || !ip.IsUnspecified()) {
		return address
	}
	return net.JoinHostPort("localhost", port)
}

// check finds what can be said before anything starts.
func (f *devFlags) check(cmd *cobra.Command) error {
	if f.secret == "" {
		return usageError("--secret is empty: anybody could sign")
	}
	if f.data == "" && cmd.Flags().Changed("data") {
		return usageError("--data is empty: name a folder, or leave the flag out")
	}
	for _, a := range f.addresses() {
		_, port, err := net.SplitHostPort(a.address)
		if err == nil {
			_, err = strconv.ParseUint(port, 10, 16)
		}
		if err != nil {
			return usageError("%s %q: want host:port, such as 127.0.0.1:0", a.flag, a.address)
		}
	}
	return nil
}

// runDev starts broker and registry, and the relay in front of them.
func runDev(cmd *cobra.Command, f devFlags, file *configFlag, logging logFlags) (err error) {
	log, level, err := logging.logger(cmd)
	if err != nil {
		return err
	}
	outliveReaders()
	d := &dev{flags: f, log: log, out: newDevPrinter(cmd.OutOrStdout(), *f.format), program: programName(os.Args[0])}
	if cmd.Flags().Changed("config") {
		if err := d.readFile(cmd, file); err != nil {
			return err
		}
	}
	d.flags.warn(cmd.ErrOrStderr())
	defer debug.SetGCPercent(debug.SetGCPercent(devGCPercent))
	stop, err := d.start()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	o := app.Options{Build: appBuild(), Log: log, Level: level, OnVerdict: d.out.verdict, SkipInspection: true}
	if d.file != "" {
		hangup, done := hangups()
		defer done()
		o.Source, o.Hangup, o.Prepare, o.OnReload = app.NewSource(d.source()), hangup, d.prepare, d.reloaded
		o.Config, err = useConfig(o.Source, log)
	} else {
		o.Config, err = loadConfig(d.source(), log)
	}
	if err != nil {
		return err
	}
	d.hold(o.Config)
	if err := d.prepare(cmd.Context(), o.Config); err != nil {
		return err
	}
	relay, err := app.New(o)
	if err != nil {
		return explainDev(err)
	}
	d.base = "http://" + usable(relay.WebhookAddr())
	return serveDev(cmd.Context(), relay, d.out.end, func() { d.out.ready(d.facts(relay, o.Config)) })
}

// serveDev runs the relay until ctx ends, and calls ready, once, when events
// are accepted, and then end when the relay has stopped.
func serveDev(ctx context.Context, relay *app.App, end, ready func()) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- relay.Run(ctx) }()

	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	limit := time.After(10 * time.Second) // everything is in this process: something is broken then
	for {
		select {
		case err := <-done:
			return err // stopped before it was ready
		case <-limit:
			missing := relay.Readiness().Missing
			cancel()
			return errors.Join(fmt.Errorf("not ready after 10 s: %s", strings.Join(missing, "; ")), <-done)
		case <-look.C:
			if relay.Readiness().Ready {
				ready()
				defer end()
				return <-done
			}
		}
	}
}

// explainDev names the flag of an address that app.New cannot bind.
func explainDev(err error) error {
	var addr *app.AddressError
	if !errors.As(err, &addr) {
		return err
	}
	flag := "--listen"
	if addr.Key == "admin.address" {
		flag = "--admin"
	}
	return inUse(addr.Err, flag, addr.Address)
}

// inUse names the port and the flag of an address that is taken. Damaged data
// are told as they are.
func inUse(err error, flag, address string) error {
	var damaged *devkit.DamagedError
	if errors.As(err, &damaged) {
		return damaged
	}
	if !errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%s %s: %w", flag, address, err)
	}
	_, port, splitErr := net.SplitHostPort(address)
	if splitErr != nil {
		port = address
	}
	return fmt.Errorf("port %s is in use: choose another with %s (port 0 picks a free one)", port, flag)
}
