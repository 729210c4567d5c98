"""One request to the Track API: applied, answered in the format of its version, and logged."""

from msgspec import Raw
from msgspec.json import encode

from . import api_v2
from .api_v1 import Endpoint
from .arrivals import RequestArrivals
from .faults import InjectedFault
from .http import Answer, Call, error
from .limits import MAX_BATCH_BYTES
from .outcome import Effect, Outcome, Refusal, dropped
from .workspace import Workspace

ENTITY, BATCH = b"/api/v2/entity", b"/api/v2/batch"


class Request:
    """A request that is being processed, and its rows in the log."""

    def __init__(
        self, workspace: Workspace, at: float, method: str, path: bytes, query: bytes
    ) -> None:
        self.workspace = workspace
        self.at = at
        self.method = method
        self.raw_path = path
        self.query = query
        self.path = (path + b"?" + query if query else path)[:2000].decode("latin-1")
        self.body = b""
        self.call = "unknown"
        self.fault = ""
        """The injected fault; "" if there is none."""
        self.number = workspace.log.next_request()
        self.arrivals: RequestArrivals | None = None
        """The arrivals of the request's operations; None unless the sandbox keeps them."""

    def keep_arrivals(self, connection: int, peer: str) -> None:
        """Begin to keep the arrivals of this request, if the sandbox keeps any."""
        store = self.workspace.arrivals
        if store is not None:
            self.arrivals = RequestArrivals(
                store, self.number, connection, peer, self.method, self.path
            )

    def add(
        self, effect: Effect, status: int, call: str, who: str, body: bytes, index: int | None
    ) -> None:
        """Add a row to the log."""
        self.workspace.log.add(
            effect,
            at=self.at,
            method=self.method,
            path=self.path,
            status=status,
            call=call,
            who=who,
            body=body,
            batch_index=index,
        )
        if self.arrivals is None or call == "region":
            return
        for item_index, item in self._operations(body, index):
            self.arrivals.add(
                effect.outcome,
                at=self.workspace.clock(),
                status=status,
                call=call if item_index == index else api_v2.name_of(item),
                who=who,
                body=item,
                batch_index=item_index,
                fault=self.fault,
            )

    def _operations(self, body: bytes, index: int | None) -> list[tuple[int | None, bytes]]:
        """Return the operations of a row: each item of a batch that failed or was refused whole."""
        if index is not None or self.raw_path != BATCH or self.arrivals is None:
            return [(index, body)]
        try:
            items = api_v2.read_batch(body)
        except Refusal:
            return [(None, body)]
        self.arrivals.operations = len(items)
        return [(position, bytes(item)) for position, item in enumerate(items)] or [(None, body)]

    def count(self, answer: Answer) -> Answer:
        """Count an answer by its status, and return it."""
        self.workspace.log.by_status[answer.status] += 1
        return answer

    def finish(self, answer: Answer, call: str) -> Answer:
        """Log and return the answer to a call that changes nothing."""
        self.add(Effect(Outcome.APPLIED), answer.status, call, "", b"", None)
        return self.count(answer)

    def note(self, outcome: Outcome, reason: str, status: int) -> None:
        """Log a fault, or a client that disconnected."""
        self.add(Effect(outcome, reason), status, self.call, "", self.body, None)
        self.workspace.log.by_status[status] += 1

    def injected(self, name: str, reason: str, status: int) -> None:
        """Log and count an injected fault."""
        self.workspace.log.by_fault[name] += 1
        self.fault = name
        self.note(Outcome.FAULT, f"{reason} (fault)", status)

    def injected_after(self, name: str, reason: str) -> None:
        """Log and count a fault that was injected after the request was accepted."""
        arrivals, self.arrivals = self.arrivals, None
        self.injected(name, reason, 0)
        self.arrivals = arrivals
        if arrivals is not None:
            arrivals.fault_after(name)

    def refuse(self, refusal: Refusal, *headers: tuple[bytes, bytes]) -> Answer:
        """Log a request that is refused as a whole, and return its answer."""
        status = refusal.status
        self.add(Effect(Outcome.REFUSED, _reason(refusal)), status, self.call, "", self.body, None)
        if status != 400:
            return self.count(error(status, refusal.message, *headers))
        if self.raw_path in (ENTITY, BATCH):
            return self.count(Answer(400, api_v2.errors_body([api_v2.error_item(refusal)])))
        if self.call == "merge":
            return self.count(error(400, refusal.message))
        return self.count(Answer(400, encode({"meta": {"errors": [refusal.message]}})))

    def refuse_method(self, allowed: str) -> Answer:
        """Log a request with a wrong method, and return 405 with an Allow header."""
        refusal = Refusal(f"the method must be {allowed}", status=405)
        return self.refuse(refusal, (b"allow", allowed.encode()))


def run(request: Request, endpoint: Endpoint, fault: InjectedFault) -> Answer:
    """Apply a request and return its answer.

    Raises:
        Refusal: The request is refused as a whole.
    """
    if endpoint is V2:
        return _run_v2(request, fault)
    call = Call(request.method, request.raw_path, request.query, request.body)
    effect, who = endpoint.run(request.workspace, call)
    request.add(effect, endpoint.answer.status, endpoint.name, who, request.body, None)
    return request.count(endpoint.answer)


def _run_v2(request: Request, fault: InjectedFault) -> Answer:
    if request.raw_path == ENTITY:
        request.call = api_v2.name_of(request.body)
        call, effect, who = api_v2.run(request.workspace, request.body)
        request.add(effect, 200, call, who, request.body, None)
        return request.count(Answer(200))
    request.call = "batch"
    if len(request.body) > MAX_BATCH_BYTES:
        raise Refusal(f"cannot be longer than {MAX_BATCH_BYTES} bytes", "batch")
    items = api_v2.read_batch(request.body)
    if not items:
        request.add(dropped("the batch is empty"), 200, "batch", "", request.body, None)
        return request.count(Answer(200))
    if request.arrivals is not None:
        request.arrivals.operations = len(items)
    injected_index = int(fault.pick * len(items)) if fault.name == "207" else None
    errors = []
    for index, item in enumerate(items):
        refusal = _run_item(request, item, index, injected=index == injected_index)
        if refusal is not None:
            errors.append(api_v2.error_item(refusal, index))
    if errors:
        return request.count(Answer(207, api_v2.errors_body(errors)))
    return request.count(Answer(200))


def _run_item(request: Request, item: Raw, index: int, *, injected: bool) -> Refusal | None:
    body = bytes(item)
    try:
        if injected:
            request.workspace.log.by_fault["207"] += 1
            request.fault = "207"
            raise Refusal("refused by an injected fault")
        call, effect, who = api_v2.run(request.workspace, body)
    except Refusal as refusal:
        outcome = Outcome.FAULT if injected else Outcome.REFUSED
        request.add(Effect(outcome, _reason(refusal)), 207, api_v2.name_of(body), "", body, index)
        request.fault = ""
        return refusal
    request.add(effect, 200, call, who, body, index)
    return None


def _reason(refusal: Refusal) -> str:
    return f"{refusal.field}: {refusal.message}" if refusal.field else refusal.message


def _no_run(_workspace: Workspace, _call: Call) -> tuple[Effect, str]:
    raise AssertionError("bodies of v2 are read by api_v2")


V2 = Endpoint("v2", _no_run)
