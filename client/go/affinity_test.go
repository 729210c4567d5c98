package ciosidecar_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	ciosidecar "github.com/ciosidecar/ciosidecar/client/go"
	"github.com/ciosidecar/ciosidecar/client/go/internal/sidecartest"

	v1 "github.com/ciosidecar/ciosidecar/client/go/ciosidecarv1"
)

func fortyPeople(count int) []ciosidecar.BatchItem {
	items := make([]ciosidecar.BatchItem, count)
	for index := range items {
		items[index].JSON = fmt.Appendf(nil, `{"type":"track","userId":"user-%d","event":"E%d"}`, index%40, index)
		items[index].Attachment = index
	}
	return items
}

// recorder plays a sidecar that answers everything and notes which persons it hears of.
type recorder struct {
	mu      sync.Mutex
	persons map[string]bool
}

func (r *recorder) script(s *scriptedStream) error {
	if err := s.open(nil); err != nil {
		return err
	}
	return s.each(func(batch *v1.Batch) {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, item := range batch.GetItems() {
			var event struct{ UserID string }
			_ = json.Unmarshal(item.GetJson(), &event)
			r.persons[event.UserID] = true
		}
	})
}

func (r *recorder) hasHeard() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.persons) != 0
}

func TestEachPersonIsOnOneSidecarWhicheverStreamSends(t *testing.T) {
	var recorders [3]*recorder
	var addresses []string
	for index := range recorders {
		recorders[index] = &recorder{persons: map[string]bool{}}
		address, _ := startScripted(t, recorders[index].script)
		addresses = append(addresses, address)
	}
	for range 2 {
		client := dial(t, nil, addresses...)
		stream := client.Stream(within(t), shop, &ciosidecar.StreamOptions{Affinity: ciosidecar.AffinityPerson})
		inOrder(t, mustExchange(t, stream, fortyPeople(400)), 400)
		_ = stream.Close()
		addresses = []string{addresses[2], addresses[0], addresses[1]}
	}
	total := 0
	for _, heard := range recorders {
		if len(heard.persons) == 0 {
			t.Error("a sidecar got no person")
		}
		total += len(heard.persons)
	}
	if total != 40 {
		t.Errorf("40 persons were heard of %d times", total)
	}
}

func TestAKilledAndADrainedSidecarLoseNothing(t *testing.T) {
	sidecartest.Need(t)
	var addresses []string
	var sidecars []*sidecartest.Sidecar
	for range 3 {
		sidecar := sidecartest.Start(t)
		sidecars = append(sidecars, sidecar)
		addresses = append(addresses, sidecar.Address())
	}
	stream := dial(t, nil, addresses...).Stream(within(t), shop, &ciosidecar.StreamOptions{
		Affinity: ciosidecar.AffinityPerson, MaxOutstandingEvents: 500,
	})
	defer func() { _ = stream.Close() }()
	ctx := within(t)
	go func() {
		for index, item := range fortyPeople(6000) {
			switch index {
			case 2000:
				sidecars[0].Kill()
			case 4000:
				sidecars[1].Drain()
			}
			if stream.Send(ctx, item) != nil {
				return
			}
		}
		stream.CloseSend()
	}()
	for position := range int64(6000) {
		result := receive(t, stream)
		if result.Position != position || result.Status != 200 {
			t.Fatalf("result %d is %+v", position, result)
		}
	}
	atEnd(t, stream)
}

// trackAt returns an event of a person whose items go to one of the addresses.
func trackAt(address string, addresses ...string) ciosidecar.BatchItem {
	for number := 0; ; number++ {
		person := fmt.Sprintf("user-%d", number)
		if ciosidecar.AddressOf(person, addresses) == address {
			return ciosidecar.BatchItem{JSON: fmt.Appendf(nil, `{"type":"track","userId":%q,"event":"E"}`, person)}
		}
	}
}

// No other signal than the item itself may be needed to use a sidecar whose items were taken away.
func TestAReturnedSidecarGetsASingleItem(t *testing.T) {
	drain := make(chan struct{})
	returned := &recorder{persons: map[string]bool{}}
	first, sidecar := startScripted(t, func(s *scriptedStream) error {
		if err := s.open(nil); err != nil {
			return err
		}
		select {
		case <-drain:
		case <-s.stream.Context().Done():
		}
		if err := s.drain(); err != nil {
			return err
		}
		if _, err := s.batch(); !errors.Is(err, errFinished) {
			t.Error("the sidecar got items although it drained")
		}
		return nil
	}, returned.script)
	second, _ := startScripted(t, (&recorder{persons: map[string]bool{}}).script)
	stream := dial(t, nil, first, second).Stream(within(t), shop, &ciosidecar.StreamOptions{
		Affinity: ciosidecar.AffinityPerson, Linger: 400 * time.Millisecond,
	})
	defer func() { _ = stream.Close() }()
	sendAll(t, stream, trackAt(second, first, second))
	receive(t, stream)
	own := trackAt(first, first, second)
	sendAll(t, stream, own)
	close(drain)
	receive(t, stream)
	for !returned.hasHeard() { // until the client is connected again; the test's time limit bounds it
		sendAll(t, stream, own)
		receive(t, stream)
	}
	if sidecar.count() != 2 {
		t.Errorf("the client opened %d streams at the sidecar", sidecar.count())
	}
}

func TestARefusalByOneSidecarFailsAStreamWithAffinity(t *testing.T) {
	good, _ := startScripted(t, (&recorder{persons: map[string]bool{}}).script)
	bad, _ := startScripted(t, func(*scriptedStream) error {
		return status.Error(codes.PermissionDenied, "not you")
	})
	stream := dial(t, nil, good, bad).Stream(within(t), shop,
		&ciosidecar.StreamOptions{Affinity: ciosidecar.AffinityPerson})
	defer func() { _ = stream.Close() }()
	_, err := exchange(t, stream, fortyPeople(100))
	if status.Code(err) != codes.PermissionDenied {
		t.Errorf("the error is %v", err)
	}
}

func TestAStreamWithAffinityGivesUpOnlyWithoutAnySidecar(t *testing.T) {
	good, sidecar := startScripted(t, (&recorder{persons: map[string]bool{}}).script)
	gone, stopped := startScripted(t, (&recorder{persons: map[string]bool{}}).script)
	stopped.stop()
	stream := dial(t, nil, good, gone).Stream(within(t), shop, &ciosidecar.StreamOptions{
		Affinity: ciosidecar.AffinityPerson, ReconnectFor: 200 * time.Millisecond,
	})
	defer func() { _ = stream.Close() }()
	for ends := time.Now().Add(time.Second); time.Now().Before(ends); {
		sendAll(t, stream, fortyPeople(10)...)
		for range 10 {
			receive(t, stream)
		}
	}
	sidecar.stop()
	sendAll(t, stream, fortyPeople(1)...)
	if _, err := stream.Recv(within(t)); status.Code(err) != codes.Unavailable {
		t.Errorf("the error is %v", err)
	}
}

func TestAffinityNeedsSeveralAddresses(t *testing.T) {
	stream := dial(t, nil, "127.0.0.1:1", "127.0.0.1:1").Stream(within(t), shop,
		&ciosidecar.StreamOptions{Affinity: ciosidecar.AffinityPerson})
	defer func() { _ = stream.Close() }()
	if err := stream.Send(within(t), fortyPeople(1)[0]); err == nil {
		t.Error("the item was sent")
	}
	if _, err := stream.Recv(within(t)); err == nil || err == io.EOF {
		t.Errorf("the error is %v", err)
	}
}
