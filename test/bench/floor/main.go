// Command floor is the least that a signed-webhook relay can be: net/http,
// one HMAC over the body, one Kafka record, the answer after the ack.
//
// It parses no JSON, looks up no route, validates nothing and measures
// nothing, so that its CPU per event is what no relay on the same libraries
// can go below. It takes the Kafka client settings and the environment of
// cxrelay, and is started in its place by the command run beside it.
package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// maxBody is the body limit of cxrelay.
const maxBody = 960 << 10

func main() {
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "floor:", err)
		os.Exit(1)
	}
}

// serve answers until SIGTERM.
func serve() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	client, err := kgo.NewClient(
		kgo.SeedBrokers(strings.Split(os.Getenv("KAFKA_BROKERS"), ",")...),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerLinger(0),
		kgo.ProducerBatchCompression(kgo.SnappyCompression(), kgo.NoCompression()),
		kgo.MetadataMinAge(250*time.Millisecond),
		kgo.AlwaysRetryEOF(),
		kgo.ConnIdleTimeout(8*time.Minute),
		kgo.MaxBufferedRecords(50_000),
		kgo.MaxBufferedBytes(64<<20),
	)
	if err != nil {
		return fmt.Errorf("kafka client: %w", err)
	}
	defer client.Close()

	mux := http.NewServeMux()
	mux.Handle("POST /cxone/webhook", &floor{
		client: client,
		topic:  os.Getenv("BENCH_TOPIC"),
		secret: []byte(os.Getenv("CXONE_WEBHOOK_SECRET")),
	})
	server := &http.Server{Addr: os.Getenv("CXRELAY_LISTEN_ADDRESS"), Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		<-ctx.Done()
		server.Close()
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("listen: %w", err)
	}
	return nil
}

// floor is the handler. Safe for concurrent use.
type floor struct {
	client *kgo.Client
	topic  string
	secret []byte
}

// ServeHTTP answers 200 once the body is acked by Kafka.
func (f *floor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength < 0 || r.ContentLength > maxBody {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	body := make([]byte, r.ContentLength)
	if _, err := io.ReadFull(r.Body, body); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if !f.signed(r.Header.Get("X-Cxone-Signature"), body) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	record := &kgo.Record{Topic: f.topic, Key: key(r.Header.Get("X-Bench-Contact")), Value: body}
	if err := f.client.ProduceSync(context.Background(), record).FirstErr(); err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"reason":"accepted"}`) // the sender may be gone
}

// signed reports whether the header holds the hex HMAC-SHA256 of body.
func (f *floor) signed(header string, body []byte) bool {
	got, err := hex.DecodeString(header)
	if err != nil {
		return false
	}
	mac := hmac.New(sha256.New, f.secret)
	mac.Write(body)
	return hmac.Equal(got, mac.Sum(nil))
}

// key is cxrelay's default record key. The contact comes in a header of the
// load generator: both servers then spread the same load over the same
// partitions, and this one still need not read the body.
func key(contact string) []byte {
	h := fnv.New64a()
	h.Write([]byte(contact))
	return fmt.Appendf(nil, "pk-%016x", h.Sum64())
}
