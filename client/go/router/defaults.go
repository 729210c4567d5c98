package router

import (
	"bytes"
	"encoding/json"
)

// settingNames are the settings that have several names (rule 11.1). A default under one name does not
// replace a value under another.
var settingNames = [][]string{{"siteID", "siteId"}, {"datacenter", "region", "datacenterEU"}}

// withDefaults returns a destination's config with the defaults for the settings that it does not have.
// A config that is not an object is returned unchanged: the sidecar says what is wrong.
func withDefaults(config json.RawMessage, defaults map[string]json.RawMessage) json.RawMessage {
	if len(defaults) == 0 {
		return config
	}
	var settings map[string]json.RawMessage
	if json.Unmarshal(config, &settings) != nil || settings == nil {
		return config
	}
	missing := make(map[string]json.RawMessage)
	for name, value := range defaults {
		if !isGiven(settings, name) {
			missing[name] = value
		}
	}
	for name, value := range missing {
		settings[name] = value
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(settings); err != nil {
		return config // a default that is no JSON
	}
	return bytes.TrimSpace(text.Bytes())
}

// isGiven reports whether the settings have a value under the name or under another name of the same
// setting. Null counts as not given, and so does an empty string for a setting whose values are words.
func isGiven(settings map[string]json.RawMessage, name string) bool {
	names := []string{name}
	for _, group := range settingNames {
		for _, member := range group {
			if member == name {
				names = group
			}
		}
	}
	for _, candidate := range names {
		value := settings[candidate]
		empty := absent(value) || string(value) == `""` &&
			(candidate == "datacenter" || candidate == "region" || candidate == "userIdIdentifierType")
		if !empty {
			return true
		}
	}
	return false
}
