// The eight things of clients/README.md in Go: what a caller's code looks like. `build/program -address HOST:PORT`.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

// A run is what the flags ask for.
type run struct {
	address         string
	samples         string
	tlsCA           string
	timeout         time.Duration
	only            string
	model           string
	maxMessageBytes int
	cancelAfter     time.Duration
}

// errUsage marks what is wrong with the flags or the samples, not with a call.
var errUsage = errors.New("usage")

func main() {
	r, err := parse(os.Args[1:])
	if err == nil {
		err = r.steps()
	}
	if err == nil {
		return
	}
	if errors.Is(err, errUsage) {
		fmt.Fprintln(os.Stderr, "error:", strings.TrimSuffix(err.Error(), "\nusage"))
		os.Exit(2)
	}
	fmt.Fprintln(os.Stderr, "error:", describe(err))
	os.Exit(1)
}

func parse(arguments []string) (*run, error) {
	r := &run{}
	flags := flag.NewFlagSet("program", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&r.address, "address", "127.0.0.1:8500", "the router, or a service")
	flags.StringVar(&r.samples, "samples", "clients/samples", "the folder of the inputs")
	flags.StringVar(&r.tlsCA, "tls-ca", "", "speak TLS, trusting this PEM file")
	seconds := flags.Float64("timeout-s", 10, "the deadline of every call, retries included")
	flags.StringVar(&r.only, "only", "", "one step: "+strings.Join(stepNames(), ", "))
	flags.StringVar(&r.model, "model", "digits", "the image classifier that is asked")
	flags.IntVar(&r.maxMessageBytes, "max-message-bytes", 64<<20, "the largest message either way")
	milliseconds := flags.Int("cancel-after-ms", 0, "cancel the embedding call after so long")
	if err := flags.Parse(arguments); err != nil {
		return nil, usage(err)
	}
	if r.only != "" && !slices.Contains(stepNames(), r.only) {
		return nil, usage(fmt.Errorf("no step %q: %s", r.only, strings.Join(stepNames(), ", ")))
	}
	r.timeout = time.Duration(*seconds * float64(time.Second))
	r.cancelAfter = time.Duration(*milliseconds) * time.Millisecond
	return r, nil
}

func (r *run) steps() error {
	connection, err := dial(r)
	if err != nil {
		return err
	}
	defer connection.Close()
	fleet := newFleet(r, connection)
	for _, s := range steps {
		if r.only != "" && r.only != s.name {
			continue
		}
		lines, err := s.take(context.Background(), fleet)
		if err != nil {
			return err
		}
		for _, line := range lines {
			fmt.Println(line)
		}
	}
	return nil
}

func usage(err error) error { return errors.Join(err, errUsage) }
