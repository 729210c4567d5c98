package router

import (
	"encoding/json"
	"reflect"
	"testing"
)

// A default holds for a setting that the destination does not have, under any of the setting's names.
func TestDefaultsHoldForSettingsThatAreNotGiven(t *testing.T) {
	defaults := map[string]json.RawMessage{
		"apiVersion": json.RawMessage(`"v2"`), "datacenter": json.RawMessage(`"EU"`), "max": json.RawMessage(`12345678901234567890`),
	}
	for config, expected := range map[string]string{
		`{}`:                               `{"apiVersion":"v2","datacenter":"EU","max":12345678901234567890}`,
		`{"apiVersion":"v1","max":1}`:      `{"apiVersion":"v1","max":1,"datacenter":"EU"}`,
		`{"apiVersion":null,"max":1}`:      `{"apiVersion":"v2","max":1,"datacenter":"EU"}`,
		`{"region":"US","max":1.0}`:        `{"region":"US","max":1.0,"apiVersion":"v2"}`,
		`{"datacenterEU":false,"max":"<"}`: `{"datacenterEU":false,"max":"<","apiVersion":"v2"}`,
		`{"datacenter":"","max":1}`:        `{"datacenter":"EU","max":1,"apiVersion":"v2"}`,
		`[]`:                               `[]`,
		`null`:                             `null`,
		``:                                 ``,
		`no JSON`:                          `no JSON`,
	} {
		merged := withDefaults(json.RawMessage(config), defaults)
		if !sameValue(string(merged), expected) {
			t.Errorf("%s became %s", config, merged)
		}
	}
	config := json.RawMessage(`{ "a":1 }`)
	if string(withDefaults(config, nil)) != string(config) {
		t.Error("without defaults, the config changed")
	}
}

func sameValue(first, second string) bool {
	var one, two map[string]json.RawMessage
	if json.Unmarshal([]byte(first), &one) != nil || json.Unmarshal([]byte(second), &two) != nil {
		return first == second
	}
	return reflect.DeepEqual(one, two)
}
