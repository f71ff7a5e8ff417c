package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"

	argosyv1 "argosy.dev/argosy/v1"
	"argosy.dev/inference"
)

const callsAtOnce = 16

// A step is one of the eight things; its lines are the same in every language.
type step struct {
	name string
	take func(context.Context, *fleet) ([]string, error)
}

var steps = []step{
	{"image", image}, {"embedding", embedding}, {"table", table}, {"tensor", tensor},
	{"deadline", deadline}, {"wrong-input", wrongInput}, {"refusal", refusal}, {"health", health},
}

func stepNames() []string {
	return []string{"image", "embedding", "table", "tensor", "deadline", "wrong-input", "refusal", "health"}
}

func image(ctx context.Context, f *fleet) ([]string, error) {
	seven, err := f.sample("seven.png")
	if err != nil {
		return nil, err
	}
	ctx, cancel := f.call(ctx, f.run.model)
	defer cancel()
	var trailers metadata.MD
	reply, err := f.vision.Classify(ctx, f.imageRequest(seven), grpc.Trailer(&trailers))
	if err != nil {
		return nil, err
	}
	var names []string
	for name := range trailers {
		if strings.HasPrefix(name, "argosy-") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	best := reply.GetResults()[0].GetCategories()[0]
	return []string{"image: " + categoryText(best), "trailers: " + strings.Join(names, " ")}, nil
}

func embedding(ctx context.Context, f *fleet) ([]string, error) {
	sentences, err := f.sampleLines("sentences.txt")
	if err != nil {
		return nil, err
	}
	ctx, cancel := f.call(ctx, "minilm")
	defer cancel()
	if f.run.cancelAfter > 0 {
		sentences = slices.Repeat(sentences, 100)
		defer time.AfterFunc(f.run.cancelAfter, cancel).Stop()
	}
	reply, err := f.text.Embed(ctx, &argosyv1.TextServiceEmbedRequest{Model: "minilm", Texts: sentences})
	if err != nil {
		return nil, err
	}
	first := reply.GetResults()[0].GetEmbedding().GetValues()
	second := reply.GetResults()[1].GetEmbedding().GetValues()
	cosine := dot(first, second) / math.Sqrt(dot(first, first)*dot(second, second))
	return []string{fmt.Sprintf("embedding: %d values, cosine %.3f", len(first), cosine)}, nil
}

func table(ctx context.Context, f *fleet) ([]string, error) {
	var lines []string
	for _, model := range []string{"diabetes", "income"} {
		rows, err := f.rows(model + ".jsonl")
		if err != nil {
			return nil, err
		}
		ctx, cancel := f.call(ctx, model)
		reply, err := f.tabular.Predict(ctx, &argosyv1.TabularServicePredictRequest{Model: model, Rows: rows})
		cancel()
		if err != nil {
			return nil, err
		}
		for number, result := range reply.GetResults() {
			lines = append(lines, fmt.Sprintf("table: %s row %d: %s", model, number+1, rowText(result)))
		}
	}
	return lines, nil
}

func tensor(ctx context.Context, f *fleet) ([]string, error) {
	pixels := make([]byte, 0, 28*28*4)
	for i := range 28 * 28 {
		row, column := i/28, i%28
		ink := float32(0)
		if 4 <= row && row < 24 && 13 <= column && column < 15 {
			ink = 1
		}
		pixels = binary.LittleEndian.AppendUint32(pixels, math.Float32bits(ink))
	}
	ctx, cancel := f.call(ctx, f.run.model)
	defer cancel()
	reply, err := f.tensors.ModelInfer(ctx, &inference.ModelInferRequest{
		ModelName: f.run.model,
		Inputs: []*inference.ModelInferRequest_InferInputTensor{
			{Name: "image", Datatype: "FP32", Shape: []int64{1, 28, 28, 1}},
		},
		RawInputContents: [][]byte{pixels},
	})
	if err != nil {
		return nil, err
	}
	return []string{tensorText(reply.GetOutputs()[0], reply.GetRawOutputContents()[0])}, nil
}

func deadline(ctx context.Context, f *fleet) ([]string, error) {
	sentences, err := f.sampleLines("sentences.txt")
	if err != nil {
		return nil, err
	}
	ctx, cancel := f.call(ctx, "minilm")
	defer cancel()
	ctx, hurry := context.WithTimeout(ctx, 5*time.Millisecond)
	defer hurry()
	texts := slices.Repeat(sentences, 100)
	_, err = f.text.Embed(ctx, &argosyv1.TextServiceEmbedRequest{Model: "minilm", Texts: texts})
	if c := status.Code(err); c != codes.OK && c != codes.DeadlineExceeded {
		return nil, err
	}
	return []string{"deadline: " + codeName(status.Code(err))}, nil
}

func wrongInput(ctx context.Context, f *fleet) ([]string, error) {
	ctx, cancel := f.call(ctx, f.run.model)
	defer cancel()
	_, err := f.vision.Classify(ctx, f.imageRequest([]byte("not an image")))
	switch status.Code(err) {
	case codes.OK:
		return []string{"wrong-input: OK"}, nil
	case codes.InvalidArgument:
		reason, field := reasonAndField(err)
		return []string{fmt.Sprintf("wrong-input: %s %s field=%s", codeName(status.Code(err)), reason, field)}, nil
	}
	return nil, err
}

// refusal sends more than the queue takes, at once: what is refused is sent again when the fleet says so.
func refusal(ctx context.Context, f *fleet) ([]string, error) {
	seven, err := f.sample("seven.png")
	if err != nil {
		return nil, err
	}
	request := f.imageRequest(slices.Repeat([][]byte{seven}, 300)...)
	refused := make(chan error, 1)
	ctx = context.WithValue(ctx, refusalsKey{}, func(err error) {
		select {
		case refused <- err:
		default: // the first is enough
		}
	})
	failures := make([]error, callsAtOnce)
	var calls sync.WaitGroup
	for i := range callsAtOnce {
		calls.Go(func() {
			ctx, cancel := f.call(ctx, f.run.model)
			defer cancel()
			_, failures[i] = f.vision.Classify(ctx, request)
		})
	}
	calls.Wait()
	if failed := slices.IndexFunc(failures, func(err error) bool { return err != nil }); failed >= 0 {
		return nil, failures[failed]
	}
	first := "OK"
	select {
	case err := <-refused:
		reason, _ := reasonAndField(err)
		first = codeName(status.Code(err)) + " " + reason
	default:
	}
	return []string{fmt.Sprintf("refusal: %s, %d of %d answered after retries", first, callsAtOnce, callsAtOnce)}, nil
}

func health(ctx context.Context, f *fleet) ([]string, error) {
	var states []string
	for _, name := range []string{"", f.run.model} {
		ctx, cancel := f.call(ctx, "")
		reply, err := f.health.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: name})
		cancel()
		if err != nil {
			return nil, err
		}
		states = append(states, reply.GetStatus().String())
	}
	return []string{fmt.Sprintf("health: fleet %s, %s %s", states[0], f.run.model, states[1])}, nil
}

// rows are the JSON objects of a file, one a line, as the service reads them.
func (f *fleet) rows(name string) ([]*structpb.Struct, error) {
	lines, err := f.sampleLines(name)
	if err != nil {
		return nil, err
	}
	rows := make([]*structpb.Struct, len(lines))
	for i, line := range lines {
		rows[i] = &structpb.Struct{}
		if err := protojson.Unmarshal([]byte(line), rows[i]); err != nil {
			return nil, usage(fmt.Errorf("%s: %w", name, err))
		}
	}
	return rows, nil
}

func rowText(result *argosyv1.RowPrediction) string {
	var words []string
	for _, quantity := range result.GetQuantities() {
		words = append(words, fmt.Sprintf("%s %.1f", quantity.GetName(), quantity.GetValue()))
	}
	if categories := result.GetCategories(); len(categories) > 0 {
		words = append(words, categoryText(categories[0]))
	}
	if imputed := slices.Sorted(slices.Values(result.GetImputedColumns())); len(imputed) > 0 {
		words = append(words, "(imputed "+strings.Join(imputed, " ")+")")
	}
	return strings.Join(words, " ")
}

func tensorText(output *inference.ModelInferResponse_InferOutputTensor, data []byte) string {
	likeliest, best := 0, float32(math.Inf(-1))
	for i := range len(data) / 4 {
		if value := math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:])); value > best {
			likeliest, best = i, value
		}
	}
	shape := strings.Join(strings.Fields(strings.Trim(fmt.Sprint(output.GetShape()), "[]")), ", ")
	return fmt.Sprintf(
		"tensor: %s %s [%s], likeliest %d %.3f", output.GetName(), output.GetDatatype(), shape, likeliest, best)
}

func dot(a, b []float32) float64 {
	sum := 0.0
	for i := range a {
		sum += float64(a[i]) * float64(b[i])
	}
	return sum
}
