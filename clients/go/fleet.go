package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"

	argosyv1 "argosy.dev/argosy/v1"
	"argosy.dev/inference"
)

// A fleet is the stubs over one connection.
type fleet struct {
	run     *run
	vision  argosyv1.VisionServiceClient
	text    argosyv1.TextServiceClient
	tabular argosyv1.TabularServiceClient
	tensors inference.GRPCInferenceServiceClient
	health  grpc_health_v1.HealthClient
}

func newFleet(r *run, connection *grpc.ClientConn) *fleet {
	return &fleet{
		run:     r,
		vision:  argosyv1.NewVisionServiceClient(connection),
		text:    argosyv1.NewTextServiceClient(connection),
		tabular: argosyv1.NewTabularServiceClient(connection),
		tensors: inference.NewGRPCInferenceServiceClient(connection),
		health:  grpc_health_v1.NewHealthClient(connection),
	}
}

// dial makes the one channel of the program. It connects with the first call.
func dial(r *run) (*grpc.ClientConn, error) {
	security := insecure.NewCredentials()
	if r.tlsCA != "" {
		var err error
		if security, err = credentials.NewClientTLSFromFile(r.tlsCA, ""); err != nil {
			return nil, usage(err)
		}
	}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(security),
		grpc.WithUnaryInterceptor(retryWhenAsked),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 2 * time.Second}),
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(r.maxMessageBytes), grpc.MaxCallSendMsgSize(r.maxMessageBytes)),
	}
	if strings.HasPrefix(r.address, "127.") || strings.HasPrefix(r.address, "localhost:") {
		options = append(options, grpc.WithNoProxy())
	}
	return grpc.NewClient(r.address, options...)
}

// call is the context of one call: its deadline, and the headers that spare the router a look into the message.
func (f *fleet) call(ctx context.Context, model string) (context.Context, context.CancelFunc) {
	if model != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "argosy-model", model, "argosy-version", "")
	}
	return context.WithTimeout(ctx, f.run.timeout)
}

func (f *fleet) sample(name string) ([]byte, error) {
	data, err := os.ReadFile(filepath.Join(f.run.samples, name))
	if err != nil {
		return nil, usage(err)
	}
	return data, nil
}

func (f *fleet) sampleLines(name string) ([]string, error) {
	data, err := f.sample(name)
	if err != nil {
		return nil, err
	}
	return strings.Split(strings.TrimRight(string(data), "\n"), "\n"), nil
}

func (f *fleet) imageRequest(images ...[]byte) *argosyv1.VisionServiceClassifyRequest {
	return &argosyv1.VisionServiceClassifyRequest{Model: f.run.model, Images: images, TopK: 1}
}

func categoryText(category *argosyv1.Category) string {
	return fmt.Sprintf("%s %.3f", category.GetLabel(), category.GetScore())
}
