package app

import (
	"github.com/cxrelay/cxrelay/internal/config"
	"github.com/cxrelay/cxrelay/internal/kafka"
)

var mechanisms = map[config.Mechanism]kafka.Mechanism{
	config.NoSASL:      kafka.NoSASL,
	config.Plain:       kafka.Plain,
	config.ScramSHA256: kafka.ScramSHA256,
	config.ScramSHA512: kafka.ScramSHA512,
	config.OAuthBearer: kafka.OAuthBearer,
	config.AWSMSKIAM:   kafka.AWSMSKIAM,
}

// securityOf says in package kafka's words what the configuration says.
func securityOf(k *config.Kafka) kafka.Security {
	return kafka.Security{
		TLS: kafka.TLS{Enabled: k.TLS.Enabled, CA: k.TLS.CA, Cert: k.TLS.Cert, Key: k.TLS.Key.Bytes(), ServerName: k.TLS.ServerName},
		SASL: kafka.SASL{
			Mechanism: mechanisms[k.SASL.Mechanism], Username: k.SASL.Username, Password: string(k.SASL.Password.Bytes()),
			OAuth: kafka.OAuth{
				TokenFile: k.SASL.OAuth.TokenFile, TokenURL: k.SASL.OAuth.TokenURL, ClientID: k.SASL.OAuth.ClientID,
				ClientSecret: string(k.SASL.OAuth.ClientSecret.Bytes()), Scopes: k.SASL.OAuth.Scopes,
			},
		},
	}
}
