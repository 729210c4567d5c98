"""A listener to the whole server: to its calls and streams, and to its delivery."""

from ..delivery.observer import NoDeliveryObserver
from ..rpc.observer import NoRpcObserver


class Observer(NoRpcObserver, NoDeliveryObserver):
    """A listener that ignores what its subclass does not override."""
