package kafka

import (
	"context"
	"errors"
	"fmt"

	"github.com/cxrelay/cxrelay/internal/kafka/inspect"
)

// ErrRefused means that brokers are there but do not let this client in:
// credentials, certificates, or the wrong kind of listener. It stays so until
// a person changes something.
var ErrRefused = errors.New("refused")

// Inspect looks at the routed topics and the brokers, reads a bounded sample
// of the records that are there, and judges it all by p. It writes nothing and
// does not disturb the producer. It returns an error only if no broker serves
// this client; it wraps ErrRefused where that is not for want of an answer,
// and the report then has the brokers and the findings about them.
func (c *Client) Inspect(ctx context.Context, p inspect.Policy) (inspect.Report, error) {
	return c.InspectTopics(ctx, *c.routed.Load(), p)
}

// InspectTopics is Inspect for some topics only.
func (c *Client) InspectTopics(ctx context.Context, topics []string, p inspect.Policy) (inspect.Report, error) {
	p.Explain = c.explainBroker
	facts, err := inspect.Look(ctx, c.cluster, topics)
	report := inspect.Report{Facts: facts, Findings: inspect.Judge(facts, p)}
	if err == nil {
		c.heard()
		return report, nil
	}
	for _, b := range facts.Brokers {
		if b.Err == nil {
			continue
		}
		if d := c.diagnose(b.Err); d.what != "" && !d.away {
			return report, fmt.Errorf("%w: %w", ErrRefused, err)
		}
	}
	return report, err
}

// explainBroker puts the error itself behind what it means, unless there is
// none: a connection that was held back after a refusal was not tried.
func (c *Client) explainBroker(err error) (what, remedy string) {
	d := c.diagnose(err)
	what = d.what
	var held *heldBack
	if what != "" && !errors.As(err, &held) {
		what += " (" + err.Error() + ")"
	}
	return what, d.remedy
}

// CreateTopics creates topics and notes in each whether that worked. Nothing
// but a person's explicit wish leads here.
func (c *Client) CreateTopics(ctx context.Context, topics []inspect.NewTopic) {
	inspect.Create(ctx, c.cluster, topics)
}
