// Asks a table, a text and an image model by their own stubs and prints of each the likeliest class and its probability
// to six places. Arguments: the three addresses and the image's path.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	digitsv1 "argosy.dev/models/digits/v1"
	incomev1 "argosy.dev/models/income/v1"
	sentimentv1 "argosy.dev/models/sentiment/v1"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	image, err := os.ReadFile(os.Args[4])
	if err != nil {
		log.Fatal(err)
	}
	for place, ask := range []func(context.Context, *grpc.ClientConn) error{person, text, picture(image)} {
		connection, err := grpc.NewClient(os.Args[place+1], grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			log.Fatal(err)
		}
		if err := ask(ctx, connection); err != nil {
			log.Fatal(err)
		}
		_ = connection.Close()
	}
}

func person(ctx context.Context, connection *grpc.ClientConn) error {
	row := &incomev1.IncomeRow{
		Age:           proto.Float64(39),
		EducationNum:  proto.Float64(13),
		MaritalStatus: proto.String("Married-civ-spouse"),
		Relationship:  proto.String("Husband"),
		Race:          proto.String("White"),
		Gender:        proto.String("Male"),
		HoursPerWeek:  proto.Float64(45),
	}
	request := &incomev1.IncomeServicePredictRequest{Model: "income", Rows: []*incomev1.IncomeRow{row}}
	reply, err := incomev1.NewIncomeServiceClient(connection).Predict(of(ctx, "income"), request)
	for _, result := range reply.GetResults() {
		fmt.Printf("%s %.6f\n", result.GetLikeliest(), result.GetScores()[0].GetProbability())
	}
	return err
}

func text(ctx context.Context, connection *grpc.ClientConn) error {
	request := &sentimentv1.SentimentServiceClassifyRequest{Model: "sentiment", Texts: []string{"I loved it."}}
	reply, err := sentimentv1.NewSentimentServiceClient(connection).Classify(of(ctx, "sentiment"), request)
	for _, result := range reply.GetResults() {
		fmt.Printf("%s %.6f\n", result.GetLikeliest(), result.GetScores()[0].GetProbability())
	}
	return err
}

func picture(image []byte) func(context.Context, *grpc.ClientConn) error {
	return func(ctx context.Context, connection *grpc.ClientConn) error {
		request := &digitsv1.DigitsServiceClassifyRequest{Model: "digits", Images: [][]byte{image}}
		reply, err := digitsv1.NewDigitsServiceClient(connection).Classify(of(ctx, "digits"), request)
		for _, result := range reply.GetResults() {
			fmt.Printf("%s %.6f\n", result.GetLikeliest(), result.GetScores()[0].GetProbability())
		}
		return err
	}
}

// of says the model in the header that spares the router a look into the message.
func of(ctx context.Context, model string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "argosy-model", model)
}
