package ciosidecar

// AddressOf returns the address of a sidecar that gets a person's items while all are there.
func AddressOf(person string, addresses []string) string {
	return addresses[addressOrder(slotOf([]byte(person)), addresses)[0]]
}
