package ciosidecar

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"unicode/utf8"

	"github.com/ciosidecar/ciosidecar/client/go/internal/sidecartest"

	v1 "github.com/ciosidecar/ciosidecar/client/go/ciosidecarv1"
)

// affinityVectors is tests/vectors/affinity.json, which all clients share.
type affinityVectors struct {
	Unreadable []struct {
		Event string
		Slot  int
	} `json:"unreadable_base64"`
	Events []struct {
		About       string
		Event       string
		OrderingKey string `json:"ordering_key"`
		Key         *string
		Slot        int
	}
	Slots []struct {
		Key  string
		Slot int
	}
	Orders []struct {
		Addresses []string
		Slot      int
		Order     []string
	}
}

func TestTheVectorsOfAffinity(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(sidecartest.Root(), "tests", "vectors", "affinity.json"))
	if err != nil {
		t.Fatal(err)
	}
	var vectors affinityVectors
	if err := json.Unmarshal(text, &vectors); err != nil {
		t.Fatal(err)
	}
	for _, vector := range vectors.Events {
		key := personKey(&BatchItem{JSON: []byte(vector.Event), OrderingKey: vector.OrderingKey})
		want := vector.Event
		if vector.Key != nil {
			want = *vector.Key
		}
		if string(key) != want || slotOf(key) != vector.Slot {
			t.Errorf("%s: the key is %q in slot %d; want %q in %d", vector.About, key, slotOf(key), want, vector.Slot)
		}
	}
	for _, vector := range vectors.Unreadable {
		event, err := base64.StdEncoding.DecodeString(vector.Event)
		if err != nil {
			t.Fatal(err)
		}
		if slot := slotOf(personKey(&BatchItem{JSON: event})); slot != vector.Slot {
			t.Errorf("%q is in slot %d; want %d", event, slot, vector.Slot)
		}
	}
	for _, vector := range vectors.Slots {
		if slot := slotOf([]byte(vector.Key)); slot != vector.Slot {
			t.Errorf("%.40q is in slot %d; want %d", vector.Key, slot, vector.Slot)
		}
	}
	for _, vector := range vectors.Orders {
		for range 2 {
			var order []string
			for _, index := range addressOrder(vector.Slot, vector.Addresses) {
				order = append(order, vector.Addresses[index])
			}
			if !slices.Equal(order, vector.Order) {
				t.Errorf("slot %d has the order %v; want %v", vector.Slot, order, vector.Order)
			}
			slices.Reverse(vector.Addresses)
		}
	}
}

func TestTheKeysOfTypedEventsAndRequests(t *testing.T) {
	for want, item := range map[string]BatchItem{
		"u1": {Event: &v1.RudderEvent{UserId: "u1", AnonymousId: "a1", MessageId: "m1"}},
		"a1": {Event: &v1.RudderEvent{AnonymousId: "a1", MessageId: "m1"}},
		"m1": {Event: &v1.RudderEvent{MessageId: "m1"}},
		"{}": {Prepared: &v1.PreparedRequest{Url: "https://x/", Body: []byte("{}")}},
		"k1": {Prepared: &v1.PreparedRequest{Body: []byte("{}")}, OrderingKey: "k1"},
	} {
		if key := personKey(&item); string(key) != want {
			t.Errorf("the key is %q; want %q", key, want)
		}
	}
}

func FuzzNoTextBreaksTheScanner(f *testing.F) {
	f.Add([]byte(`{"userId":"\ud83d\ude00","anonymousId":-1.5e3,"a":[{"b":"}"}]}`))
	f.Add([]byte(`{"userId":"\u`))
	f.Fuzz(func(t *testing.T, text []byte) {
		key := personKey(&BatchItem{JSON: text})
		var parsed map[string]any
		if json.Unmarshal(text, &parsed) != nil {
			return
		}
		if id, ok := parsed["userId"].(string); ok && id != "" && string(key) != id && utf8.Valid(text) {
			t.Errorf("the key of %q is %q; want %q", text, key, id)
		}
	})
}
