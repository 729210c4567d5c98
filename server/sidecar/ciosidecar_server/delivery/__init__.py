"""The sending of requests to Customer.io: in order, at a rate, again where that helps, and what a response means."""
