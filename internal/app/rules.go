package app

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"reflect"

	"github.com/cxrelay/cxrelay/internal/config"
	"github.com/cxrelay/cxrelay/internal/gateway"
	"github.com/cxrelay/cxrelay/internal/route"
	"github.com/cxrelay/cxrelay/internal/signature"
)

// newRules makes what decides about events of what is configured, but for the
// schemas.
func newRules(cfg *config.Config) (gateway.Rules, error) {
	return rulesWith(cfg, cfg.Verifier)
}

// rulesWith is newRules with the verifier of each source from elsewhere.
func rulesWith(cfg *config.Config, verifierOf func(source int) (*signature.Verifier, error)) (gateway.Rules, error) {
	routes, err := route.New(cfg.Routes)
	if err != nil {
		return gateway.Rules{}, fmt.Errorf("routes: %w", err)
	}
	rules := gateway.Rules{Routes: routes}
	for i := range cfg.Sources {
		w := &cfg.Sources[i]
		verifier, err := verifierOf(i)
		if err != nil {
			return gateway.Rules{}, fmt.Errorf("source %s: %w", w.Name, err)
		}
		rules.Sources = append(rules.Sources, &gateway.Source{
			Name: w.Name, Path: w.Path, Verifier: verifier, Paths: w.Event, NoContact: noContactRules[w.NoContact], Deadline: w.Deadline,
			Certified: w.Preset == config.PresetNone && !w.Insecure,
		})
	}
	return rules, nil
}

// orderBreaks says for which events the key or the topic changes between two
// sets of rules: a contact's events on both sides of the change are not in one
// partition, or not in one topic, and their order is lost there, once.
func orderBreaks(was, is gateway.Rules) []string {
	var breaks []string
	patterns := map[string]bool{}
	for _, now := range is.Sources {
		before := sourceOf(was, now.Name)
		if before == nil {
			continue
		}
		if !reflect.DeepEqual(before.Paths.Contact, now.Paths.Contact) {
			breaks = append(breaks, fmt.Sprintf("source %s: the contact is found elsewhere, so events may get other keys", now.Name))
		}
		if before.NoContact != now.NoContact {
			breaks = append(breaks, fmt.Sprintf("source %s: events without a contact get other keys, or none", now.Name))
		}
		for _, r := range append(was.Routes.Routes(), is.Routes.Routes()...) {
			if why := moved(was.Routes, is.Routes, now.Name, r.Pattern); why != "" && !patterns[r.Pattern] {
				patterns[r.Pattern] = true
				breaks = append(breaks, fmt.Sprintf("type %s: %s", r.Pattern, why))
			}
		}
	}
	return breaks
}

func sourceOf(r gateway.Rules, name string) *gateway.Source {
	for _, s := range r.Sources {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// moved compares where two tables lead the events of a type. A glob stands for
// itself: what it takes away from another one shows where it is a row.
func moved(was, is *route.Table, source, pattern string) string {
	before, ok := was.Match(source, pattern)
	now, ok2 := is.Match(source, pattern)
	switch {
	case !ok || !ok2 || before.Drop || now.Drop:
		return "" // nothing stands on one of the sides
	case before.Topic != now.Topic:
		return fmt.Sprintf("goes to topic %s, before to %s", now.Topic, before.Topic)
	case before.Key != now.Key:
		return fmt.Sprintf("the key rule is %s, before %s", now.Key, before.Key)
	default:
		return ""
	}
}

// listenTLS makes what the webhook listener proves itself with; nil: nothing.
func listenTLS(t *config.ListenTLS) (*tls.Config, error) {
	if len(t.Cert) == 0 {
		return nil, nil //nolint:nilnil // plain HTTP is a choice, not a fault
	}
	pair, err := tls.X509KeyPair(t.Cert, t.Key.Bytes())
	if err != nil {
		return nil, fmt.Errorf("listen.tls: %w", err)
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
	if len(t.ClientCA) > 0 {
		c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
		if !c.ClientCAs.AppendCertsFromPEM(t.ClientCA) {
			return nil, errors.New("listen.tls.client_ca_file: no certificate in it")
		}
	}
	return c, nil
}
