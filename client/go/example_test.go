package ciosidecar_test

import (
	"context"
	"fmt"
	"log"
	"time"

	ciosidecar "github.com/ciosidecar/ciosidecar/client/go"
)

var destination = ciosidecar.NewDestination("shop",
	[]byte(`{"siteID": "an-example-site-id", "apiKey": "an-example-api-key"}`))

func ExampleClient_Transform() {
	client, err := ciosidecar.Dial([]string{sidecarAddress}, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	results, err := client.Transform(ctx, destination, []ciosidecar.BatchItem{
		{JSON: []byte(`{"type": "track", "userId": "u-1", "event": "Paid", "properties": {"total": 59.70}}`)},
		{JSON: []byte(`{"type": "track", "event": "Whose?"}`)},
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, result := range results {
		for _, request := range result.Requests {
			fmt.Println(result.Status, request.Method, request.URL)
			fmt.Println(string(request.Body))
		}
		if result.Error != nil {
			fmt.Println(result.Status, result.Error.Code, result.Error.Message)
		}
	}
	// Output:
	// 200 POST https://track.customer.io/api/v1/customers/u-1/events
	// {"name":"Paid","type":"event","data":{"total": 59.70}}
	// 400 MISSING_IDENTITY a track needs a userId, an email or an anonymousId (rule 3.4)
}

func ExampleClient_Stream() {
	client, err := ciosidecar.Dial([]string{sidecarAddress}, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	stream := client.Stream(ctx, destination, nil)
	defer stream.Close()

	go func() {
		defer stream.CloseSend()
		for job := range 1000 {
			event := fmt.Appendf(nil, `{"type": "track", "userId": "u-%d", "event": "Paid"}`, job)
			if err := stream.Send(ctx, ciosidecar.BatchItem{JSON: event, Attachment: job}); err != nil {
				return // Results yields the same error
			}
		}
	}()

	transformed := 0
	for result, err := range stream.Results(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		if result.Status == 200 {
			transformed++
		}
		if result.Attachment.(int) == 999 {
			fmt.Println(result.Requests[0].URL)
		}
	}
	fmt.Println(transformed)
	// Output:
	// https://track.customer.io/api/v1/customers/u-999/events
	// 1000
}
