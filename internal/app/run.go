package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Run serves until ctx ends, then stops: not ready but serving for
// shutdown.delay, then no new connections, requests under way answered, and
// records not acknowledged yet flushed, all within shutdown.timeout. It
// returns nil after an orderly stop, also if records were left: none of
// those was answered 2xx. It returns early with the error of a part that
// broke. Run closes everything; the App is of no use afterwards.
func (a *App) Run(ctx context.Context) error {
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var wg sync.WaitGroup
	broken := make(chan error, 8)
	start := func(name string, run func(context.Context) error) {
		wg.Go(func() {
			if err := run(running); err != nil {
				broken <- fmt.Errorf("%s: %w", name, err)
			}
		})
	}
	start("schema cache", a.schemas.run)
	watching, stopWatch := context.WithCancel(running)
	watched := make(chan struct{})
	start("kafka", func(context.Context) error {
		defer close(watched)
		return a.kafka.Run(watching, a.inspection.topicChanged)
	})
	start("inspection", a.inspection.run)
	start("gateway", a.gateway.Run)
	start("readiness", a.ready.run)
	start("reload", a.reloader.run)
	start("admin", a.admin.Run)
	start("webhook", a.webhook.Run)
	a.log.Info("cxrelay started", slog.String("version", a.opts.Build.Version), slog.String("instance", a.instance),
		slog.String("webhook", a.WebhookAddr()), slog.String("admin", a.AdminAddr()))

	var err error
	select {
	case <-ctx.Done():
	case err = <-broken:
	}
	err = errors.Join(err, a.stop(func() { stopWatch(); <-watched }))
	cancel()
	wg.Wait()
	return err
}

// stop ends the service in order. A step that runs out of time does not keep
// the next ones from happening. stopWatch ends the watch of the topics, which
// may replace producers.
func (a *App) stop(stopWatch func()) error {
	began := time.Now()
	a.ready.drain()
	a.reloader.stop()
	a.log.Info("stopping", slog.Duration("delay", a.opts.Config.Shutdown.Delay), slog.Duration("timeout", a.opts.Config.Shutdown.Timeout))
	<-time.After(a.opts.Config.Shutdown.Delay) // a load balancer needs that long to look away

	ctx, cancel := context.WithTimeout(context.Background(), a.opts.Config.Shutdown.Timeout)
	defer cancel()
	a.webhook.Drain()
	var problems []error
	if err := a.webhook.Shutdown(ctx); err != nil {
		problems = append(problems, fmt.Errorf("webhook listener: %w", err))
	}
	stopWatch()
	if err := a.kafka.Flush(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		problems = append(problems, err)
	}
	left := a.deliverer.Pending()
	a.kafka.Close()
	a.settle()
	a.schemas.close()
	s := a.ledger.Snapshot()
	a.log.Info("cxrelay stopped", slog.Duration("took", time.Since(began)), slog.Int("records_left", left),
		slog.Int64("requests_left", s.InFlight), slog.Uint64("received", s.Received), slog.Uint64("acked", s.Acked))
	return errors.Join(problems...)
}

// settle waits for the lines of what was given up, so that the line of what
// was left is the last one.
func (a *App) settle() {
	limit := time.After(settleFor)
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for a.deliverer.Pending() > 0 {
		select {
		case <-limit:
			return
		case <-look.C:
		}
	}
}

// settleFor bounds the wait for a producer that is closed already.
const settleFor = time.Second
