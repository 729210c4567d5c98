package ciosidecar

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	v1 "github.com/ciosidecar/ciosidecar/client/go/ciosidecarv1"
)

// flight is a batch that a sidecar has, and the positions that are not answered yet.
type flight struct {
	id         int64
	items      []*outstandingItem
	unanswered []int32
}

// routedFleet is sidecars as a stream sees them, moved by a test.
type routedFleet struct {
	t          *testing.T
	chance     *rand.Rand
	queue      *resultQueue
	lanes      []*outstandingItems
	router     *affinityRouter
	tried      [3]bool
	up         [3]bool
	flights    [3][]*flight
	sent       [3][]*outstandingItem
	returned   [3]map[int]*v1.ItemRef // by slot, an item that the sidecar returned since the call began
	unanswered map[int][]*outstandingItem
}

func newRoutedFleet(t *testing.T, chance *rand.Rand) *routedFleet {
	options := (&StreamOptions{MaxBatchEvents: 3, Affinity: AffinityPerson}).withDefaults()
	fleet := &routedFleet{
		t: t, chance: chance, queue: &resultQueue{}, unanswered: make(map[int][]*outstandingItem),
	}
	for lane := range 3 {
		fleet.returned[lane] = make(map[int]*v1.ItemRef)
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
	if f.tried[lane] {
		f.lose(lane)
	}
	f.tried[lane], f.up[lane] = true, true
	f.lanes[lane].startSession(&v1.Limits{MaxBatchEvents: 3, MaxDestinations: 9})
	f.router.opened(lane)
}

func (f *routedFleet) lose(lane int) {
	f.tried[lane], f.up[lane], f.flights[lane], f.sent[lane] = true, false, nil, nil
	clear(f.returned[lane])
	f.router.lost(lane)
}

// send sends the next batch of a lane, and checks that nothing in it overtakes an older item.
func (f *routedFleet) send(lane int) {
	if f.lanes[lane].takeMessages() == nil {
		return
	}
	id := f.lanes[lane].lastBatchID
	added := &flight{id: id, items: f.lanes[lane].sent[id].items}
	for position, item := range added.items {
		added.unanswered = append(added.unanswered, int32(position))
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
	f.flights[lane] = append(f.flights[lane], added)
}

// answer answers some items of the oldest batch. A sidecar that drains returns some of them.
func (f *routedFleet) answer(lane int, drains bool) {
	if len(f.flights[lane]) == 0 {
		return
	}
	oldest := f.flights[lane][0]
	count := 1 + f.chance.IntN(len(oldest.unanswered))
	results := &v1.Results{BatchId: oldest.id, Positions: oldest.unanswered[:count]}
	oldest.unanswered = oldest.unanswered[count:]
	for _, position := range results.GetPositions() {
		item := oldest.items[position]
		f.sent[lane] = remove(f.sent[lane], item)
		failure := &v1.EventError{Code: v1.ErrorCode_ERROR_CODE_BLOCKED, BlockedBy: f.returned[lane][item.slot]}
		switch {
		case failure.GetBlockedBy() != nil:
		case drains && f.chance.IntN(2) == 0:
			f.up[lane] = false
			f.returned[lane][item.slot] = &v1.ItemRef{BatchId: oldest.id, Position: position}
			failure.Code = v1.ErrorCode_ERROR_CODE_DRAINING
		default:
			f.unanswered[item.slot] = remove(f.unanswered[item.slot], item)
			results.Statuses = append(results.Statuses, 200)
			continue
		}
		results.Statuses = append(results.Statuses, 503)
		results.Details = append(results.Details, &v1.EventDetail{Position: position, Error: failure})
	}
	if len(oldest.unanswered) == 0 {
		results.BatchComplete = true
		f.flights[lane] = f.flights[lane][1:]
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

func TestABatchKnowsThePositionOfEachItem(t *testing.T) {
	for _, streamPositions := range [][]int64{{1, 7, 3}, {4, 5, 6}, {4, 6, 5, 7}, {3, 1}, {9}} {
		batch := &sentBatch{}
		for _, position := range streamPositions {
			batch.items = append(batch.items, &outstandingItem{result: Result{Position: position}})
		}
		positions := batch.positions()
		for index, want := range streamPositions {
			position := positions.at(int32(index))
			if position == nil {
				t.Errorf("%v: there is no item %d", streamPositions, index)
			} else if *position != want {
				t.Errorf("%v: item %d is at %d", streamPositions, index, *position)
			}
		}
		if positions.at(int32(len(streamPositions))) != nil || positions.at(-1) != nil {
			t.Errorf("%v: there is an item beside the batch", streamPositions)
		}
	}
}

func TestNoItemOvertakesAnotherOfItsSlot(t *testing.T) {
	for seed := range uint64(200) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			chance := rand.New(rand.NewPCG(seed, 1))
			fleet := newRoutedFleet(t, chance)
			for range 400 {
				lane := chance.IntN(3)
				switch step := chance.IntN(330); {
				case step < 120:
					fleet.add(chance.IntN(6))
				case step < 200 && fleet.up[lane]:
					fleet.send(lane)
				case step < 280:
					fleet.answer(lane, false)
				case step < 300 && !fleet.up[lane]:
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
			for fleet.lanes[1].hasUnanswered() {
				fleet.send(1)
				fleet.answer(1, false)
			}
			for position := range fleet.queue.nextPos {
				result, ok := fleet.queue.takeResult()
				if !ok || result.Position != position || result.Status != 200 {
					t.Fatalf("result %d is %+v, there is one: %t", position, result, ok)
				}
			}
			if len(fleet.router.slots) != 0 || len(fleet.router.outside) != 0 {
				t.Error("the router still holds items")
			}
		})
	}
}
