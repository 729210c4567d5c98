package ciosidecar

import "slices"

// lanePhase is how far the connection of a lane is.
type lanePhase int

const (
	laneConnecting lanePhase = iota // no attempt has ended yet
	laneUp
	laneDraining // the sidecar answers what it has, and takes nothing more
	laneDown
)

// slotItems are the unanswered items of one slot. All that are not parked are on one lane.
type slotItems struct {
	lane   int
	count  int
	parked []*outstandingItem
}

// affinityRouter routes items to the lanes of a stream, so that no item overtakes another of its slot. It
// has no I/O, no clock and no lock.
//
// An item joins the first lane in the order of its slot that is up. If unanswered items of the slot are on
// another lane, the item is parked until those are answered. While no lane is up, or the lanes have only
// begun to connect, items wait outside of the lanes.
type affinityRouter struct {
	addresses []string
	lanes     []*outstandingItems
	onEnqueue func(lane int)
	phases    []lanePhase
	orders    map[int][]int
	slots     map[int]*slotItems
	outside   []*outstandingItem
	settled   bool // no first attempt to connect is waited for
}

func newAffinityRouter(addresses []string, lanes []*outstandingItems, onEnqueue func(lane int)) *affinityRouter {
	return &affinityRouter{
		addresses: addresses,
		lanes:     lanes,
		onEnqueue: onEnqueue,
		phases:    make([]lanePhase, len(addresses)),
		orders:    make(map[int][]int),
		slots:     make(map[int]*slotItems),
	}
}

// isConnected reports whether a lane has a connection, also to a sidecar that drains, or its first attempt
// goes on.
func (r *affinityRouter) isConnected() bool {
	return slices.ContainsFunc(r.phases, func(phase lanePhase) bool { return phase != laneDown })
}

// place puts an item onto its lane, behind all earlier items of its slot.
func (r *affinityRouter) place(item *outstandingItem) {
	target, isUp := r.target(item.slot)
	slot := r.slots[item.slot]
	switch {
	case slot == nil && !isUp:
		r.outside = append(r.outside, item)
		return
	case slot != nil && (len(slot.parked) != 0 || !isUp || slot.lane != target):
		slot.parked = append(slot.parked, item)
		return
	case slot == nil:
		slot = &slotItems{lane: target}
		r.slots[item.slot] = slot
	}
	slot.count++
	r.lanes[target].enqueue(item)
	r.onEnqueue(target)
}

// answered notes that items have results. It releases those that were parked behind them.
func (r *affinityRouter) answered(items []*outstandingItem) {
	for _, item := range items {
		r.leave(item.slot, 1)
	}
}

// returned moves items that a draining sidecar did not send, behind older ones that it still has.
func (r *affinityRouter) returned(lane int, items []*outstandingItem) {
	if len(items) != 0 && r.phases[lane] == laneUp {
		r.draining(lane)
	}
	for _, item := range items {
		slot := r.slots[item.slot]
		index, _ := slices.BinarySearchFunc(slot.parked, item, comparePositions)
		slot.parked = slices.Insert(slot.parked, index, item)
		r.leave(item.slot, 1)
	}
}

// opened notes that a lane takes items.
func (r *affinityRouter) opened(lane int) {
	r.phases[lane] = laneUp
	r.settleIfKnown()
}

// settle stops to wait for first attempts to connect.
func (r *affinityRouter) settle() {
	r.settled = true
	r.enter()
}

// draining moves the items of a lane that are not sent. Those behind sent ones are parked.
func (r *affinityRouter) draining(lane int) {
	r.phases[lane] = laneDraining
	moved := make(map[int][]*outstandingItem)
	for _, item := range r.lanes[lane].takeUnsent() {
		moved[item.slot] = append(moved[item.slot], item)
	}
	for number, items := range moved {
		slot := r.slots[number]
		slot.parked = append(items, slot.parked...)
		r.leave(number, len(items))
	}
}

// lost moves all unanswered items of a lane whose connection has ended, in order.
func (r *affinityRouter) lost(lane int) {
	r.phases[lane] = laneDown
	items := r.lanes[lane].takeUnanswered()
	var parked []*outstandingItem
	for _, item := range items {
		if slot := r.slots[item.slot]; slot != nil {
			parked = append(parked, slot.parked...)
			delete(r.slots, item.slot)
		}
	}
	// An item that the sidecar returned is parked, and may be older than one that it still had.
	items = append(items, parked...)
	slices.SortFunc(items, comparePositions)
	for _, item := range items {
		r.place(item)
	}
	r.settleIfKnown()
}

// drop forgets the items that are not sent: they will have no result.
func (r *affinityRouter) drop() {
	r.outside = nil
	for _, slot := range r.slots {
		slot.parked = nil
	}
	for _, lane := range r.lanes {
		for _, item := range lane.takeUnsent() {
			r.leave(item.slot, 1)
		}
	}
}

func (r *affinityRouter) settleIfKnown() {
	if !slices.Contains(r.phases, laneConnecting) {
		r.settled = true
	}
	r.enter()
}

// enter places the items that wait outside, if a lane may take them.
func (r *affinityRouter) enter() {
	if !r.settled || !slices.Contains(r.phases, laneUp) {
		return
	}
	items := r.outside
	r.outside = nil
	for _, item := range items {
		r.place(item)
	}
}

// leave notes that items of a slot are no longer on its lane.
func (r *affinityRouter) leave(number, count int) {
	slot := r.slots[number]
	slot.count -= count
	if slot.count != 0 {
		return
	}
	delete(r.slots, number)
	for _, item := range slot.parked {
		r.place(item)
	}
}

// target returns the first lane in a slot's order that is up. It returns false if there is none, or if it
// is too early.
func (r *affinityRouter) target(slot int) (int, bool) {
	if !r.settled {
		return 0, false
	}
	order := r.orders[slot]
	if order == nil {
		order = addressOrder(slot, r.addresses)
		r.orders[slot] = order
	}
	for _, lane := range order {
		if r.phases[lane] == laneUp {
			return lane, true
		}
	}
	return 0, false
}

func comparePositions(left, right *outstandingItem) int {
	return int(left.result.Position - right.result.Position)
}
