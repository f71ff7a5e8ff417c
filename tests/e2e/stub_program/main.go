// Asks income by its own stub and prints, for each row, the likeliest class and its probability to six places.
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

	incomev1 "argosy.dev/models/income/v1"
)

func main() {
	connection, err := grpc.NewClient(os.Args[1], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = connection.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	row := &incomev1.IncomeRow{
		Age:           proto.Float64(39),
		EducationNum:  proto.Float64(13),
		MaritalStatus: proto.String("Married-civ-spouse"),
		Relationship:  proto.String("Husband"),
		Race:          proto.String("White"),
		Gender:        proto.String("Male"),
		HoursPerWeek:  proto.Float64(45),
	}
	ctx = metadata.AppendToOutgoingContext(ctx, "argosy-model", "income")
	reply, err := incomev1.NewIncomeServiceClient(connection).Predict(ctx, &incomev1.IncomeServicePredictRequest{
		Model: "income",
		Rows:  []*incomev1.IncomeRow{row},
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, result := range reply.GetResults() {
		fmt.Printf("%s %.6f\n", result.GetLikeliest(), result.GetScores()[0].GetProbability())
	}
}
