package awsiam_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/cxrelay/cxrelay/internal/kafka/awsiam"
)

const broker = "b-1.relay.abc123.c2.kafka.eu-west-1.amazonaws.com:9098"

// isolate keeps the machine's own AWS settings out of the test. No AWS is
// asked here: that the real service takes what is sent is not tested.
func isolate(t *testing.T) {
	t.Helper()
	none := filepath.Join(t.TempDir(), "none")
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_SESSION_TOKEN": "", "AWS_PROFILE": "", "AWS_REGION": "", "AWS_DEFAULT_REGION": "",
		"AWS_CONFIG_FILE": none, "AWS_SHARED_CREDENTIALS_FILE": none, "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_WEB_IDENTITY_TOKEN_FILE": "", "AWS_ROLE_ARN": "", "AWS_CONTAINER_CREDENTIALS_FULL_URI": "", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "",
	} {
		t.Setenv(name, value)
	}
}

// authenticate returns the first message as its members.
func authenticate(t *testing.T, host string) (map[string]string, error) {
	t.Helper()
	m := awsiam.Mechanism()
	if m.Name() != "AWS_MSK_IAM" {
		t.Errorf("name %q", m.Name())
	}
	_, first, err := m.Authenticate(t.Context(), host)
	if err != nil {
		return nil, err
	}
	var members map[string]string
	if err := json.Unmarshal(first, &members); err != nil {
		t.Fatalf("%q: %v", first, err)
	}
	return members, nil
}

// resign signs with AWS's own signer what the message says it signed.
func resign(t *testing.T, m map[string]string, credentials awssdk.Credentials, region string) string {
	t.Helper()
	at, err := time.Parse("20060102T150405Z", m["x-amz-date"])
	if err != nil {
		t.Fatal(err)
	}
	query := url.Values{"Action": {"kafka-cluster:Connect"}, "X-Amz-Expires": {m["x-amz-expires"]}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+m["host"]+"/?"+query.Encode(), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	const ofNothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" // SHA-256 of no bytes
	signed, _, err := v4.NewSigner().PresignHTTP(t.Context(), credentials, req, ofNothing, "kafka-cluster", region, at)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(signed)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"X-Amz-Credential", "X-Amz-SignedHeaders", "X-Amz-Algorithm", "X-Amz-Security-Token"} {
		if want := u.Query().Get(name); m[strings.ToLower(name)] != want {
			t.Errorf("%s is %q, AWS's signer has %q", name, m[strings.ToLower(name)], want)
		}
	}
	return u.Query().Get("X-Amz-Signature")
}

func TestSignature(t *testing.T) {
	for name, c := range map[string]struct {
		env    map[string]string
		host   string
		want   awssdk.Credentials
		region string
	}{
		"keys": {map[string]string{"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "wJalr/K7+EXAMPLE="}, broker,
			awssdk.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "wJalr/K7+EXAMPLE="}, "eu-west-1"},
		"keys of a session": {map[string]string{"AWS_ACCESS_KEY_ID": "ASIA", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "a+b/c== d"}, broker,
			awssdk.Credentials{AccessKeyID: "ASIA", SecretAccessKey: "s", SessionToken: "a+b/c== d"}, "eu-west-1"},
		"a name of one's own": {map[string]string{"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "s", "AWS_REGION": "us-gov-west-1"}, "kafka.example.com:9098",
			awssdk.Credentials{AccessKeyID: "A", SecretAccessKey: "s"}, "us-gov-west-1"},
	} {
		t.Run(name, func(t *testing.T) {
			isolate(t)
			for k, v := range c.env {
				t.Setenv(k, v)
			}
			m, err := authenticate(t, c.host)
			if err != nil {
				t.Fatal(err)
			}
			if m["version"] != "2020_10_22" || m["action"] != "kafka-cluster:Connect" || m["user-agent"] != "cxrelay" || m["host"]+":9098" != c.host {
				t.Errorf("%v", m)
			}
			if want := resign(t, m, c.want, c.region); m["x-amz-signature"] != want || want == "" {
				t.Errorf("signature %s, AWS's own %s", m["x-amz-signature"], want)
			}
		})
	}
}

// TestChain: the shared files are looked at as the AWS tools do.
func TestChain(t *testing.T) {
	isolate(t)
	file := filepath.Join(t.TempDir(), "credentials")
	if err := os.WriteFile(file, []byte("[relay]\naws_access_key_id = FROMFILE\naws_secret_access_key = s\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", file)
	t.Setenv("AWS_PROFILE", "relay")
	m, err := authenticate(t, broker)
	if err != nil || !strings.HasPrefix(m["x-amz-credential"], "FROMFILE/") {
		t.Errorf("%v, %v", m, err)
	}
}

func TestFaults(t *testing.T) {
	isolate(t)
	if _, err := authenticate(t, broker); !errors.Is(err, awsiam.ErrCredentials) {
		t.Errorf("without credentials: %v", err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "A")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
	_, err := authenticate(t, "kafka.example.com:9098")
	if !errors.Is(err, awsiam.ErrRequest) || errors.Is(err, awsiam.ErrCredentials) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("without region: %v", err)
	}
	t.Setenv("AWS_PROFILE", "none")
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	if _, err := authenticate(t, broker); !errors.Is(err, awsiam.ErrCredentials) {
		t.Errorf("with a profile that is not there: %v", err)
	}
}
