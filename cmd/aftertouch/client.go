package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"github.com/aftertouch-io/aftertouch/internal/grpccodec"
)

// clientSettings are those of the commands that talk to a running server.
type clientSettings struct {
	GRPCAddr string `name:"grpc-addr" help:"Address of the server."`
	TLS      bool   `name:"tls" help:"Talk to the server over TLS."`
	Key      string `help:"Secret key of the workspace, with the scope that the command needs: read for reports, admin for conversions and receipt, replay for replay." placeholder:"KEY" secret:""`
}

func defaultClient() clientSettings { return clientSettings{GRPCAddr: "127.0.0.1:9090"} }

func (c clientSettings) validate() error {
	var errs []error
	if c.GRPCAddr == "" {
		errs = append(errs, errors.New("grpc-addr is empty: name the server, HOST:PORT"))
	}
	if c.Key == "" {
		errs = append(errs, errors.New("key is empty: give a secret key of the workspace (AFTERTOUCH_KEY)"))
	}
	return errors.Join(errs...)
}

// connect returns a connection that is made when first used, and the context to make calls in.
func (c clientSettings) connect(ctx context.Context) (*grpc.ClientConn, context.Context, error) {
	transport := insecure.NewCredentials()
	if c.TLS {
		transport = credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS12})
	}
	conn, err := grpc.NewClient(c.GRPCAddr, grpc.WithTransportCredentials(transport), grpccodec.DialOption())
	if err != nil {
		return nil, nil, fmt.Errorf("connecting to grpc-addr %s: %w", c.GRPCAddr, err)
	}
	return conn, metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+c.Key), nil
}
