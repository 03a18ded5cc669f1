package signature

import (
	"encoding/json"
	"strings"
)

// Foreign is a scheme that the relay does not support.
type Foreign struct {
	Name   string
	Reason string // why it cannot be expressed, and what to do instead
}

const (
	publicKey = "it is made with a private key, and the relay verifies with shared secrets only: put a gateway in front that verifies it"
	tokens    = "it proves who holds a key or a token, by claims of its own; the relay reads none: put a gateway in front that verifies it"
	wholeHTTP = "it signs method, address or headers beside the body, which the relay does not know as the sender saw them: put a gateway in front that verifies it"
)

// foreign names the unsupported scheme that the request is signed by, as far
// as headers and body show it, or nil. A token beside a MAC says nothing about
// the MAC: NICE Expert sends both.
func (c Capture) foreign() *Foreign {
	mac := c.hasMAC()
	for _, f := range c.Fields {
		if found := foreignName(strings.ToLower(f.Name)); found != nil {
			return found
		}
		if mac && strings.EqualFold(f.Name, "Authorization") {
			continue
		}
		if found := foreignValue(strings.ToLower(f.Name), f.Value); found != nil {
			return found
		}
	}
	var sns struct{ SigningCertURL string } // in any case: a Lambda writes SigningCertUrl
	if json.Unmarshal(c.Body, &sns) == nil && sns.SigningCertURL != "" {
		return &Foreign{"Amazon SNS", publicKey}
	}
	if len(c.candidates("")) == 0 {
		return &Foreign{"no signature at all", "no header of the request can hold one; a sender that shows a TLS client certificate, " +
			"or that is let in by its address, leaves none: preset none with listen.tls.client_ca_file is for those"}
	}
	return nil
}

// hasMAC reports whether a header of the request has the form of a MAC.
func (c Capture) hasMAC() bool {
	g := generator{header: c.header, deep: true}
	for _, r := range g.readings(c.candidates("")) {
		if r.value.algorithm != Static && r.steps() == 0 && strings.Contains(strings.ToLower(r.value.header), "signature") {
			return true
		}
	}
	return false
}

// foreignName knows schemes by their header.
func foreignName(name string) *Foreign {
	switch name {
	case "x-amz-sns-message-type", "x-amz-sns-topic-arn":
		return &Foreign{"Amazon SNS", publicKey}
	case "x-hubspot-signature-v3":
		return &Foreign{"HubSpot v3", wholeHTTP}
	case "x-hubspot-signature":
		return &Foreign{"HubSpot v1 or v2", "it is a plain SHA-256 of secret, method, address and body, and no HMAC: put a gateway in front that verifies it, or use HubSpot's v3 there"}
	case "x-twilio-signature":
		return &Foreign{"Twilio", wholeHTTP}
	case "x-hook0-signature":
		return &Foreign{"Coinbase CDP (Hook0)", wholeHTTP}
	case "signature-input":
		return &Foreign{"HTTP Message Signatures (RFC 9421)", wholeHTTP}
	case "x-twilio-email-event-webhook-signature":
		return &Foreign{"SendGrid (ECDSA)", publicKey}
	case "x-signature-ed25519":
		return &Foreign{"Ed25519", publicKey}
	case "paypal-transmission-sig":
		return &Foreign{"PayPal (RSA)", publicKey}
	case "x-fusionauth-signature-jwt":
		return &Foreign{"FusionAuth (JWT)", tokens}
	case "x-8x8-signature":
		return &Foreign{"8x8 (detached JWS)", tokens}
	default:
		return nil
	}
}

// foreignValue knows schemes by what the header holds.
func foreignValue(name, value string) *Foreign {
	_, bare, hasScheme := strings.Cut(value, " ")
	if !hasScheme {
		bare = value
	}
	switch parts := strings.Split(bare, "."); {
	case strings.HasPrefix(value, "AWS4-"):
		return &Foreign{"AWS Signature Version 4", wholeHTTP}
	case len(parts) == 3 && strings.HasPrefix(bare, "eyJ") && parts[1] == "":
		return &Foreign{"a detached JWS", tokens}
	case len(parts) == 3 && strings.HasPrefix(bare, "eyJ"):
		return &Foreign{"a JWT", tokens}
	case strings.HasPrefix(value, "v1a,") || strings.Contains(value, " v1a,"):
		return &Foreign{"Standard Webhooks with Ed25519 (v1a)", publicKey}
	case strings.HasPrefix(strings.ToLower(value), "digest "):
		return &Foreign{"HTTP Digest authentication", "it is a dialogue, and a webhook is one request: use preset basic over TLS"}
	case strings.Contains(name, "signature") && asymmetric(value):
		return &Foreign{"a public-key signature (RSA or ECDSA)", publicKey}
	default:
		return nil
	}
}

// asymmetric reports whether an entry of the value has the length of an RSA
// signature, or the form of an ECDSA one.
func asymmetric(value string) bool {
	for _, entry := range strings.FieldsFunc(value, func(r rune) bool { return strings.ContainsRune(" ,;", r) }) {
		if key, rest, ok := strings.Cut(entry, "="); ok && rest != "" && len(key) <= 8 {
			entry = rest
		}
		for _, e := range []Encoding{Hex, Base64} {
			b, ok := appendDecoded(nil, []byte(entry), e)
			if !ok {
				continue
			}
			n := len(b)
			if n == 128 || n == 256 || n == 384 || n == 512 || n >= 68 && n <= 72 && b[0] == 0x30 && int(b[1]) == n-2 {
				return true
			}
		}
	}
	return false
}
