package kafka

import (
	"context"
	"fmt"
	"net"

	"github.com/twmb/franz-go/pkg/sasl"
)

// access is how connections are made, as of now. Producers outlive it: they
// ask for it with every connection.
type access struct {
	dial DialFunc
	sasl sasl.Mechanism // nil: none
}

func (c *Client) newAccess(s *Security) (*access, error) {
	dial, err := s.dialer(c.opts.Dial)
	if err != nil {
		return nil, fmt.Errorf("kafka client: %w", err)
	}
	mechanism, err := s.SASL.mechanism(c.edge.token)
	if err != nil {
		return nil, fmt.Errorf("kafka client: %w", err)
	}
	return &access{dial, mechanism}, nil
}

// SetSecurity makes new connections by s: with other credentials, certificates
// or authorities than before, but with TLS and the mechanism as they were.
// Connections that are open stay. On an error nothing has changed.
func (c *Client) SetSecurity(s Security) error {
	if s.TLS.Enabled != c.opts.Security.TLS.Enabled || s.SASL.Mechanism != c.opts.Security.SASL.Mechanism {
		return fmt.Errorf("kafka client: %w", errFixed)
	}
	now, err := c.newAccess(&s)
	if err != nil {
		return err
	}
	c.access.Store(now)
	c.edge.release()
	return nil
}

// dial connects as of now.
func (c *Client) dial(ctx context.Context, network, host string) (net.Conn, error) {
	return c.access.Load().dial(ctx, network, host)
}

// mechanism is the SASL mechanism of a client with the credentials as of now.
type mechanism struct{ of *Client }

// Name implements sasl.Mechanism; it is the same for the client's whole life.
func (m mechanism) Name() string { return m.of.access.Load().sasl.Name() }

// Authenticate implements sasl.Mechanism.
func (m mechanism) Authenticate(ctx context.Context, host string) (sasl.Session, []byte, error) {
	return m.of.access.Load().sasl.Authenticate(ctx, host)
}
