package main

import (
	"context"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A refusalsKey finds in a context where the interceptor notes the refusals that it retried.
type refusalsKey struct{}

// retryWhenAsked tries a refused call again when the fleet says so, while the call's deadline allows it.
func retryWhenAsked(
	ctx context.Context, method string, request, reply any, connection *grpc.ClientConn,
	invoke grpc.UnaryInvoker, options ...grpc.CallOption,
) error {
	for {
		err := invoke(ctx, method, request, reply, connection, options...)
		pause, retry := pauseBeforeRetry(ctx, err)
		if !retry {
			return err
		}
		if note, ok := ctx.Value(refusalsKey{}).(func(error)); ok {
			note(err)
		}
		select {
		case <-ctx.Done():
			return status.FromContextError(ctx.Err()).Err()
		case <-time.After(pause):
		}
	}
}

// pauseBeforeRetry is how long to wait before the next attempt, and whether there is to be one.
func pauseBeforeRetry(ctx context.Context, err error) (time.Duration, bool) {
	if c := status.Code(err); c != codes.Unavailable && c != codes.ResourceExhausted {
		return 0, false
	}
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok {
			pause := info.GetRetryDelay().AsDuration()
			deadline, bounded := ctx.Deadline()
			return pause, !bounded || time.Now().Add(pause).Before(deadline)
		}
	}
	return 0, false
}

// describe is an error in one line: STATUS REASON field=FIELD: MESSAGE.
func describe(err error) string {
	s := status.Convert(err)
	words := []string{codeName(s.Code())}
	reason, field := reasonAndField(err)
	if reason != "" {
		words = append(words, reason)
	}
	if field != "" {
		words = append(words, "field="+field)
	}
	return strings.Join(words, " ") + ": " + strings.Join(strings.Fields(s.Message()), " ")
}

func reasonAndField(err error) (reason, field string) {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return info.GetReason(), info.GetMetadata()["field"]
		}
	}
	return "", ""
}

// codeName is a status as the protocol spells it: INVALID_ARGUMENT, not InvalidArgument.
func codeName(c codes.Code) string { return code.Code(c).String() }
