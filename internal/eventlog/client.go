package eventlog

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"
)

// requestTimeout bounds one request, on top of what it asks the brokers to wait: a broker that accepts and never answers is
// as good as none.
const requestTimeout = 10 * time.Second

// ClientConfig says how to reach the brokers.
type ClientConfig struct {
	// Brokers are host:port addresses; at least one.
	Brokers []string
	// ClientID is shown in the brokers' logs and quotas. Default "aftertouch".
	ClientID string
	// TLS encrypts the connections; nil for plain ones.
	TLS *tls.Config
	// SASL authenticates the connections; nil for none.
	SASL sasl.Mechanism
	// DialTimeout bounds the making of one connection. Default 5 s.
	DialTimeout time.Duration
	// MetadataTTL is how long the cluster's layout is believed. Default 5 s.
	MetadataTTL time.Duration
}

// Validate reports everything that is wrong.
func (c ClientConfig) Validate() error {
	var errs []error
	if len(c.Brokers) == 0 {
		errs = append(errs, errors.New("kafka brokers: at least one host:port is needed"))
	}
	for _, b := range c.Brokers {
		if _, _, err := net.SplitHostPort(b); err != nil {
			errs = append(errs, fmt.Errorf("kafka brokers: %q is not host:port: %w", b, err))
		}
	}
	return errors.Join(errs...)
}

// Client is a pool of connections to one cluster. It is safe for concurrent use, and dials only when used.
type Client struct {
	cfg       ClientConfig
	transport *kafka.Transport
	kafka     *kafka.Client
}

// NewClient makes a client. It fails only for a bad configuration.
func NewClient(cfg ClientConfig) (*Client, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.ClientID == "" {
		cfg.ClientID = "aftertouch"
	}
	if cfg.DialTimeout == 0 {
		cfg.DialTimeout = 5 * time.Second
	}
	if cfg.MetadataTTL == 0 {
		cfg.MetadataTTL = 5 * time.Second
	}
	t := &kafka.Transport{
		ClientID:    cfg.ClientID,
		DialTimeout: cfg.DialTimeout,
		IdleTimeout: time.Minute,
		MetadataTTL: cfg.MetadataTTL,
		TLS:         cfg.TLS,
		SASL:        cfg.SASL,
	}
	return &Client{
		cfg:       cfg,
		transport: t,
		kafka:     &kafka.Client{Addr: kafka.TCP(cfg.Brokers...), Transport: t},
	}, nil
}

// Brokers returns the configured addresses.
func (c *Client) Brokers() []string { return c.cfg.Brokers }

// Close gives up idle connections; requests under way end as they would have.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

func (c *Client) dialer() *kafka.Dialer {
	return &kafka.Dialer{
		ClientID:      c.cfg.ClientID,
		Timeout:       c.cfg.DialTimeout,
		DualStack:     true,
		TLS:           c.cfg.TLS,
		SASLMechanism: c.cfg.SASL,
	}
}
