package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cxrelay/cxrelay/internal/schema"
)

const (
	defaultAdmin  = "http://127.0.0.1:9640"
	relayPatience = 10 * time.Second
	// maxListing is more than any schema with its references may have.
	maxListing = 64 << 20
)

// relayAPI is the admin listener of a running relay.
type relayAPI struct{ admin, tokenFile string }

// relayFlags adds what says where the relay is.
func relayFlags(cmd *cobra.Command) *relayAPI {
	r := new(relayAPI)
	cmd.Flags().StringVar(&r.admin, "admin", defaultAdmin, "`URL` of the relay's admin listener")
	cmd.Flags().StringVar(&r.tokenFile, "token-file", "", "`file` that holds the token of the admin listener (admin.token_file)")
	return r
}

// schema fetches one schema with its text. version is 0 for the latest, or
// what is there.
func (r *relayAPI) schema(ctx context.Context, subject string, version int) (mode string, _ *schema.Entry, _ error) {
	if version < 0 {
		return "", nil, usageError("--version %d: want 1 or more", version)
	}
	if subject == "" {
		return "", nil, usageError("the subject is empty")
	}
	list, err := r.schemas(ctx, subject)
	if err != nil {
		return "", nil, err
	}
	var found *schema.Entry
	for i := range list.Schemas {
		if e := &list.Schemas[i]; e.Pinned == version || version == 0 && found == nil {
			found = e
		}
	}
	switch {
	case found == nil:
		return "", nil, fmt.Errorf("no route pins %s to version %d", subject, version)
	case list.Mode != "local":
		return "", nil, fmt.Errorf("the relay has no schemas of its own: its schema.mode is %s", list.Mode)
	case found.Text == "":
		return "", nil, fmt.Errorf("the relay has no schema for %s: %s", subject, printable(found.Problem()))
	}
	return list.Mode, found, nil
}

// definition fetches one schema as schema does.
func (r *relayAPI) definition(ctx context.Context, subject string, version int) (schema.Definition, error) {
	_, e, err := r.schema(ctx, subject, version)
	if err != nil {
		return schema.Definition{}, err
	}
	return schema.Definition{Subject: e.Subject, Version: e.Version, ID: e.ID, Type: e.Type, Text: e.Text, References: e.References}, nil
}

// schemas fetches the listing, of one subject or of all for "".
func (r *relayAPI) schemas(ctx context.Context, subject string) (*schema.Listing, error) {
	path := "/api/v1/schemas"
	if subject != "" {
		path += "?subject=" + url.QueryEscape(subject)
	}
	body, err := r.get(ctx, path)
	if err != nil {
		return nil, err
	}
	list := new(schema.Listing)
	if err := json.Unmarshal(body, list); err != nil || list.Mode == "" {
		return nil, fmt.Errorf("what answers at %s is no cxrelay, or one of another version", redacted(r.admin))
	}
	return list, nil
}

func (r *relayAPI) get(ctx context.Context, path string) ([]byte, error) {
	req, err := r.request(ctx, path)
	if err != nil {
		return nil, err
	}
	client := &http.Client{
		Timeout:       relayPatience,
		Transport:     &http.Transport{DisableKeepAlives: true, ResponseHeaderTimeout: relayPatience},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		if interrupted := ctx.Err(); interrupted != nil {
			return nil, fmt.Errorf("interrupted: %w", interrupted)
		}
		return nil, &exitError{code: exitUnavailable, err: fmt.Errorf("no answer from the relay: %w\nstart it, or name its admin.address with --admin", err)}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxListing))
	if err != nil {
		return nil, &exitError{code: exitUnavailable, err: fmt.Errorf("the answer of the relay broke off: %w", err)}
	}
	if resp.StatusCode != http.StatusOK {
		return nil, r.refused(resp.StatusCode, body)
	}
	return body, nil
}

func (r *relayAPI) request(ctx context.Context, path string) (*http.Request, error) {
	base, err := url.Parse(r.admin)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" || base.RawQuery != "" || base.Fragment != "" {
		return nil, usageError("--admin is no address such as %s", defaultAdmin)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(r.admin, "/")+path, nil)
	if err != nil {
		return nil, usageError("--admin is no address such as %s", defaultAdmin)
	}
	if r.tokenFile != "" {
		token, err := os.ReadFile(r.tokenFile)
		if err != nil {
			return nil, usageError("--token-file: %w", err)
		}
		text := strings.TrimSuffix(string(token), "\n")
		if text == "" || strings.ContainsAny(text, "\r\n") {
			return nil, usageError("--token-file: %s holds no token, or more than one line", r.tokenFile)
		}
		req.Header.Set("Authorization", "Bearer "+text)
	}
	return req, nil
}

// refused says what an answer other than 200 means.
func (r *relayAPI) refused(status int, body []byte) error {
	var said struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(body, &said) != nil || said.Error == "" {
		return fmt.Errorf("what answers at %s is no cxrelay, or one of another version: it answered %d", redacted(r.admin), status)
	}
	err := errors.New(printable(said.Error))
	if status == http.StatusUnauthorized || status == http.StatusForbidden {
		return fmt.Errorf("the relay does not let this command in: %w", err)
	}
	return err
}
