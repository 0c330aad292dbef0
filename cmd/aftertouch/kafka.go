package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"

	"github.com/aftertouch-io/aftertouch/internal/eventlog"
)

// kafkaSettings say how to reach the brokers.
type kafkaSettings struct {
	Brokers       []string `help:"Kafka brokers, host:port, comma-separated." placeholder:"HOST:PORT,..."`
	TLS           bool     `name:"tls" help:"Encrypt connections to the brokers."`
	TLSCAFile     string   `name:"tls-ca-file" help:"PEM file of the authority that signed the brokers' certificates; default the system's."`
	SASLMechanism string   `name:"sasl-mechanism" help:"How to log in to the brokers: plain, scram-sha-256 or scram-sha-512; empty for not at all."`
	SASLUser      string   `name:"sasl-user" help:"User to log in to the brokers as."`
	SASLPassword  string   `name:"sasl-password" help:"Password of that user." secret:""`
}

// validate returns every fault; flags are named as they stand on the command line.
func (k kafkaSettings) validate() error {
	var errs []error
	if k.TLSCAFile != "" && !k.TLS {
		errs = append(errs, errors.New("kafka-tls-ca-file is set, but kafka-tls is not: set both or none"))
	}
	switch k.SASLMechanism {
	case "", "plain", "scram-sha-256", "scram-sha-512":
	default:
		errs = append(errs, fmt.Errorf("kafka-sasl-mechanism is %q: use plain, scram-sha-256 or scram-sha-512", k.SASLMechanism))
	}
	if (k.SASLMechanism == "") != (k.SASLUser == "") || (k.SASLUser == "") != (k.SASLPassword == "") {
		errs = append(errs, errors.New("set kafka-sasl-mechanism, kafka-sasl-user and kafka-sasl-password together, or none of them"))
	}
	if len(k.Brokers) > 0 {
		errs = append(errs, eventlog.ClientConfig{Brokers: k.Brokers}.Validate())
	}
	return errors.Join(errs...)
}

// client connects to the brokers when first used.
func (k kafkaSettings) client() (*eventlog.Client, error) {
	config := eventlog.ClientConfig{Brokers: k.Brokers}
	var err error
	if k.TLS {
		if config.TLS, err = k.tls(); err != nil {
			return nil, err
		}
	}
	if config.SASL, err = k.sasl(); err != nil {
		return nil, fmt.Errorf("preparing the login to the brokers: %w", err)
	}
	return eventlog.NewClient(config)
}

func (k kafkaSettings) tls() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if k.TLSCAFile == "" {
		return config, nil
	}
	pem, err := os.ReadFile(k.TLSCAFile)
	if err != nil {
		return nil, fmt.Errorf("reading kafka-tls-ca-file: %w", err)
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("reading kafka-tls-ca-file: %s holds no PEM certificate", k.TLSCAFile)
	}
	return config, nil
}

func (k kafkaSettings) sasl() (sasl.Mechanism, error) {
	switch k.SASLMechanism {
	case "plain":
		return plain.Mechanism{Username: k.SASLUser, Password: k.SASLPassword}, nil
	case "scram-sha-256":
		return scram.Mechanism(scram.SHA256, k.SASLUser, k.SASLPassword)
	case "scram-sha-512":
		return scram.Mechanism(scram.SHA512, k.SASLUser, k.SASLPassword)
	}
	return nil, nil
}

// topicSettings shape the topics when they are made, and are compared with them at every start.
type topicSettings struct {
	ReplicationFactor int           `name:"kafka-replication-factor" help:"Copies of each topic; 0 leaves it to the brokers."`
	MinInSyncReplicas int           `name:"kafka-min-insync-replicas" help:"Copies that must acknowledge; 0 leaves it to the brokers."`
	EventsRetention   time.Duration `name:"events-retention" help:"How long events stay in the log; 0 for 168h on the embedded broker and 5760h on others."`
}

const (
	defaultPartitions = 4
	// embeddedRetention is short, because verified snapshots are the state's durable copy there.
	embeddedRetention = 7 * 24 * time.Hour
	// serverRetention covers the horizon of 210 days (A16), so that state can be rebuilt from the log alone.
	serverRetention = 240 * 24 * time.Hour
)

// settings returns what the topics must be. embedded says whether the broker is in this process.
func (t topicSettings) settings(partitions int, embedded bool) eventlog.TopicSettings {
	retention := t.EventsRetention
	switch {
	case retention != 0:
	case embedded:
		retention = embeddedRetention
	default:
		retention = serverRetention
	}
	return eventlog.TopicSettings{
		Partitions: partitions, ReplicationFactor: t.ReplicationFactor,
		MinInSyncReplicas: t.MinInSyncReplicas, EventsRetention: retention,
	}
}
