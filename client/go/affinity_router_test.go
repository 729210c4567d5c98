package ciosidecar

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	v1 "github.com/ciosidecar/ciosidecar/client/go/ciosidecarv1"
)

// routedFleet is sidecars as a stream sees them, moved by a test.
type routedFleet struct {
	t          *testing.T
	queue      *resultQueue
	lanes      []*outstandingItems
	router     *affinityRouter
	up         [3]bool
	batches    [3][]int64
	sent       [3][]*outstandingItem
	unanswered map[int][]*outstandingItem
}

func newRoutedFleet(t *testing.T) *routedFleet {
	options := (&StreamOptions{MaxBatchEvents: 3, Affinity: AffinityPerson}).withDefaults()
	fleet := &routedFleet{t: t, queue: &resultQueue{}, unanswered: make(map[int][]*outstandingItem)}
	for range 3 {
		fleet.lanes = append(fleet.lanes, newOutstandingItems(options, fleet.queue))
	}
	fleet.router = newAffinityRouter([]string{"a:1", "b:1", "c:1"}, fleet.lanes, func(int) {})
	return fleet
}

func (f *routedFleet) add(slot int) {
	item := f.queue.add(BatchItem{JSON: []byte("{}"), Destination: Destination{ref: "d"}}, 2, nil)
	item.slot = slot
	f.unanswered[slot] = append(f.unanswered[slot], item)
	f.router.place(item)
}

func (f *routedFleet) open(lane int) {
	f.up[lane] = true
	f.lanes[lane].startSession(&v1.Limits{MaxBatchEvents: 3, MaxDestinations: 9})
	f.router.opened(lane)
}

func (f *routedFleet) lose(lane int) {
	f.up[lane], f.batches[lane], f.sent[lane] = false, nil, nil
	f.router.lost(lane)
}

// send sends the next batch of a lane, and checks that nothing in it overtakes an older item.
func (f *routedFleet) send(lane int) {
	if f.lanes[lane].takeMessages() == nil {
		return
	}
	id := f.lanes[lane].lastBatchID
	for _, item := range f.lanes[lane].sent[id].items {
		for _, older := range f.unanswered[item.slot] {
			if older == item {
				break
			}
			if !slices.Contains(f.sent[lane], older) {
				f.t.Fatalf("item %d overtakes %d of its slot", item.result.Position, older.result.Position)
			}
		}
		f.sent[lane] = append(f.sent[lane], item)
	}
	f.batches[lane] = append(f.batches[lane], id)
}

// answer answers the oldest batch of a lane: all of it, or as a sidecar that drains.
func (f *routedFleet) answer(lane int, drains bool) {
	if len(f.batches[lane]) == 0 {
		return
	}
	results := &v1.Results{BatchId: f.batches[lane][0], BatchComplete: true}
	f.batches[lane] = f.batches[lane][1:]
	batch := f.lanes[lane].sent[results.GetBatchId()]
	for position, item := range batch.items {
		status := int32(200)
		if drains && len(f.batches[lane]) == 0 && position >= len(batch.items)/2 {
			status = 503
			results.Details = append(results.Details, &v1.EventDetail{
				Position: int32(position), Error: &v1.EventError{Code: v1.ErrorCode_ERROR_CODE_DRAINING},
			})
			f.up[lane] = false
		} else {
			f.unanswered[item.slot] = remove(f.unanswered[item.slot], item)
		}
		f.sent[lane] = remove(f.sent[lane], item)
		results.Statuses = append(results.Statuses, status)
	}
	answered, returned, err := f.lanes[lane].addResults(results)
	if err != nil {
		f.t.Fatal(err)
	}
	f.router.answered(answered)
	f.router.returned(lane, returned)
}

func remove(items []*outstandingItem, item *outstandingItem) []*outstandingItem {
	return slices.DeleteFunc(slices.Clone(items), func(other *outstandingItem) bool { return other == item })
}

func TestNoItemOvertakesAnotherOfItsSlot(t *testing.T) {
	for seed := range uint64(200) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			chance := rand.New(rand.NewPCG(seed, 1))
			fleet := newRoutedFleet(t)
			for range 400 {
				lane := chance.IntN(3)
				switch step := chance.IntN(330); {
				case step < 120:
					fleet.add(chance.IntN(6))
				case step < 200 && fleet.up[lane]:
					fleet.send(lane)
				case step < 280:
					fleet.answer(lane, false)
				case step < 300 && !fleet.up[lane] && len(fleet.batches[lane]) == 0:
					fleet.open(lane)
				case step < 305 && fleet.up[lane]:
					fleet.up[lane] = false
					fleet.router.draining(lane)
				case step < 310:
					fleet.answer(lane, true)
				case step < 317:
					fleet.lose(lane)
				case step == 317:
					fleet.router.settle()
				}
			}
			for lane := range 3 {
				fleet.lose(lane)
			}
			fleet.open(1)
			for len(fleet.lanes[1].unsent) != 0 {
				fleet.send(1)
				fleet.answer(1, false)
			}
			for range fleet.queue.nextPos {
				if _, ok := fleet.queue.takeResult(); !ok {
					t.Fatal("an item has no result")
				}
			}
			if len(fleet.router.slots) != 0 || len(fleet.router.outside) != 0 {
				t.Error("the router still holds items")
			}
		})
	}
}
