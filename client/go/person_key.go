package ciosidecar

import (
	"bytes"
	"crypto/sha256"
	"hash/crc32"
	"slices"
	"strconv"
	"unicode/utf8"
)

// Affinity is what decides which sidecar of several an item goes to.
type Affinity int

const (
	// AffinityNone: the stream. All its items go to one sidecar, until that one goes away.
	AffinityNone Affinity = iota
	// AffinityPerson: the item's person. All items of a person go to one sidecar, from all streams.
	// The page docs/scaling/affinity.md defines which, for all clients alike.
	AffinityPerson
)

// affinitySlots is the number of slots. Persons of one slot always share their address.
const affinitySlots = 16_384

// personKey returns the key of an item: its ordering key, or the user id or else the anonymous id of its
// event, or bytes of its own if it has none of these.
func personKey(item *BatchItem) []byte {
	switch {
	case item.OrderingKey != "":
		return []byte(item.OrderingKey)
	case item.Event != nil:
		for _, id := range []string{item.Event.GetUserId(), item.Event.GetAnonymousId()} {
			if id != "" {
				return []byte(id)
			}
		}
		return []byte(item.Event.GetMessageId())
	case item.Prepared != nil:
		return item.Prepared.GetBody()
	}
	scanner := idScanner{text: item.JSON}
	if !utf8.Valid(item.JSON) || !scanner.scan() {
		return item.JSON
	}
	for _, id := range [][]byte{scanner.userID, scanner.anonymousID} {
		if len(id) != 0 {
			return id
		}
	}
	return item.JSON
}

// slotOf returns the slot of a key: its CRC-32, modulo the number of slots.
func slotOf(key []byte) int { return int(crc32.ChecksumIEEE(key) % affinitySlots) }

// addressOrder returns the indexes of the addresses, that of the slot's own address first. The order is
// that of rendezvous hashing: by the SHA-256 of the address, a line feed and the slot in decimal digits;
// the greatest comes first.
func addressOrder(slot int, addresses []string) []int {
	digests := make([][sha256.Size]byte, len(addresses))
	order := make([]int, len(addresses))
	for index, address := range addresses {
		digests[index] = sha256.Sum256([]byte(address + "\n" + strconv.Itoa(slot)))
		order[index] = index
	}
	slices.SortFunc(order, func(left, right int) int {
		return bytes.Compare(digests[right][:], digests[left][:])
	})
	return order
}
