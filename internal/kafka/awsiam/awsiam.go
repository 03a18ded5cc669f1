// Package awsiam authenticates to Amazon MSK with IAM: franz-go signs, and
// the standard chain of the AWS SDK finds the credentials.
//
// It is a package of its own so that the AWS SDK is imported in one place.
// Nothing else belongs here.
package awsiam

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/aws"
)

// The errors of Authenticate, wrapped.
var (
	ErrCredentials = errors.New("no AWS credentials")
	ErrRequest     = errors.New("the AWS request cannot be made") // such as an unknown region
)

// timeout bounds the search for credentials: the chain may ask a metadata
// service or STS.
const timeout = 10 * time.Second

// Mechanism returns SASL's AWS_MSK_IAM. Credentials come from the standard
// chain (environment, shared files, web identity, container, instance) and
// are renewed before they end. The region is that in the broker's host name,
// else AWS_REGION or AWS_DEFAULT_REGION. Making it does no I/O.
func Mechanism() sasl.Mechanism {
	return mechanism{aws.ManagedStreamingIAM(new(chain).auth)}
}

// mechanism gives errors their type.
type mechanism struct{ sasl.Mechanism }

// Authenticate implements sasl.Mechanism.
func (m mechanism) Authenticate(ctx context.Context, host string) (sasl.Session, []byte, error) {
	session, first, err := m.Mechanism.Authenticate(ctx, host)
	if err != nil && !errors.Is(err, ErrCredentials) {
		err = fmt.Errorf("%w: %w", ErrRequest, err)
	}
	return session, first, err
}

// chain is the SDK's chain of credentials, found at first use.
type chain struct {
	mu          sync.Mutex
	credentials awssdk.CredentialsProvider // caches, and renews in time
}

func (c *chain) auth(ctx context.Context) (aws.Auth, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	provider, err := c.provider(ctx)
	if err != nil {
		return aws.Auth{}, fmt.Errorf("%w: %w", ErrCredentials, err)
	}
	found, err := provider.Retrieve(ctx)
	if err != nil {
		return aws.Auth{}, fmt.Errorf("%w: %w", ErrCredentials, err)
	}
	return aws.Auth{AccessKey: found.AccessKeyID, SecretKey: found.SecretAccessKey, SessionToken: found.SessionToken, UserAgent: "cxrelay"}, nil
}

// provider makes the chain once; a failure is not remembered.
func (c *chain) provider(ctx context.Context) (awssdk.CredentialsProvider, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.credentials == nil {
		cfg, err := config.LoadDefaultConfig(ctx)
		if err != nil {
			return nil, err
		}
		c.credentials = cfg.Credentials
	}
	return c.credentials, nil
}
