"""Break delivery on purpose, one way after another, and show which breaks the checker sees.

    .venv/bin/python -m tests.chaos.breaks [--seconds 120] [NAME ...]

Each break changes a copy of the server's package, in a directory of its own: the sidecars of the run
import the copy. The checkout stays as it is.
"""

from tests.early_interrupt import end_on_ctrl_c

if __name__ == "__main__":
    end_on_ctrl_c()  # before the imports, which take seconds

import os
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import ciosidecar_server

from tests.arguments import parser_of, positive, require_known
from tests.chaos.run import Outcome, Run
from tests.endings import exit_with

_SERVER = Path(ciosidecar_server.__file__).parent
_QUEUE = "delivery/workspace_queue.py"
_RESPONSE_HANDLER = "delivery/response_handler.py"


@dataclass(slots=True, frozen=True)
class Break:
    """A change of one place in the server."""

    name: str
    file: str
    old: str
    new: str


BREAKS = (
    Break(
        "send twice",
        _QUEUE,
        "            response = await self._redirecting.send(",
        "            await self._redirecting.send("
        "batch, batch.sent_at + self._limits.request_timeout_s)\n"
        "            response = await self._redirecting.send(",
    ),
    Break(
        "drop a retry",
        _RESPONSE_HANDLER,
        "            self._sender.resend_at(batch, at)",
        "            self._settlement.drop(batch.jobs)",
    ),
    Break(
        "200 before the answer",
        _QUEUE,
        "        jobs, status = batch.jobs, 0\n",
        "        jobs, status = batch.jobs, 0\n"
        "        for job in jobs:\n"
        "            if not job.forgotten:\n"
        "                job.forgotten = True\n"
        "                job.owner.settled([job], outcomes.DELIVERED)\n",
    ),
    Break(
        "retry after a refusal",
        _RESPONSE_HANDLER,
        "        failure = outcomes.refused(status, failures)\n",
        "        failure = outcomes.refused(status, failures)\n"
        "        if batch.jobs[0].attempts < 2:\n"
        "            self.try_again(batch, failure)\n"
        "            return failure\n",
    ),
    Break(
        "another event id on a retry",
        _RESPONSE_HANDLER,
        "            job.failure = outcome\n            if self._draining or job.forgotten or at",
        "            job.failure = outcome\n"
        "            batch._request = None\n"
        "            body = job.request.body\n"
        '            start = body.find(b\'"id":"0\') + 8\n'
        "            if start > 8:\n"
        '                body = body[:start] + b"ZZZZ" + body[start + 4 :]\n'
        "                job.request = type(job.request)(job.request.template, job.request.path, body)\n"
        "            if self._draining or job.forgotten or at",
    ),
    Break(
        "two of one person at once",
        "delivery/ordering.py",
        "            if before is not None:",
        "            if before is not None and len(job.keys) > 1:",
    ),
    Break(
        "a failure does not block the jobs behind it",
        "delivery/settlement.py",
        "outcome.error.retryable and not job.forgotten:",
        "False:",
    ),
    Break(
        "the resend gate lets everything pass",
        "rpc/resend_gate.py",
        "        if not self._failed:\n",
        "        if True:\n",
    ),
    Break(
        "answer from another item",
        "rpc/delivery_batch.py",
        "        answers.sort(key=_position)\n",
        "        answers.sort(key=_position)\n"
        "        if len(answers) > 1:\n"
        "            one, two = answers[:2]\n"
        "            one.outcome, two.outcome = two.outcome, one.outcome\n"
        "            if isinstance(one, ItemJob) and isinstance(two, ItemJob):\n"
        "                one.delivery, two.delivery = two.delivery, one.delivery\n",
    ),
    Break(
        "attempt above 0 passes every hold",
        "rpc/resend_gate.py",
        "        if not self._failed:\n",
        "        if again or not self._failed:\n",
    ),
    Break(
        "a failed write is swallowed",
        "rpc/session.py",
        "            raise _PeerGone from fault",
        "            del fault",
    ),
    Break(
        "BLOCKED across streams is not retryable",
        "delivery/outcomes.py",
        "    error = _error(ErrorCode.BLOCKED, text, 503, retryable=True)",
        "    error = _error(ErrorCode.BLOCKED, text, 503, retryable=item_ref is not None)",
    ),
    Break(
        "a prepared or slow request is reported delivered when it times out",
        _QUEUE,
        "            failure = outcomes.unanswered(no_response.text, timed_out=no_response.timed_out)\n",
        "            failure = outcomes.unanswered(no_response.text, timed_out=no_response.timed_out)\n"
        "            if no_response.timed_out:\n"
        "                failure = outcomes.DELIVERED\n",
    ),
    Break(
        "a lost request is reported as a permanent failure",
        "delivery/outcomes.py",
        '    error = _error(code, f"Customer.io did not answer: {text}", 504, retryable=True)',
        '    error = _error(code, f"Customer.io did not answer: {text}", 504, retryable=False)',
    ),
)


def broken_text(broken: Break) -> str:
    """Return the text of the file with the break.

    Raises:
        ValueError: The place is not there once.
    """
    text = (_SERVER / broken.file).read_text()
    if text.count(broken.old) != 1:
        raise ValueError(f"{broken.name}: {broken.file} has changed: adapt the break")
    return text.replace(broken.old, broken.new)


def run_broken(broken: Break, seconds: float, seed: int) -> Outcome:
    """Run chaos with a broken server."""
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory) / _SERVER.name
        shutil.copytree(_SERVER, copy)
        changed = copy / broken.file
        changed.write_text(broken_text(broken))
        os.environ["PYTHONPATH"] = directory
        try:
            return Run(seconds, seed).go()
        finally:
            del os.environ["PYTHONPATH"]


def main() -> int:
    """Run each break, and print what the checker saw of it. Return 1 if it did not see one."""
    parser = parser_of("tests.chaos.breaks", __doc__)
    names = "; ".join(broken.name for broken in BREAKS)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"all unless given: {names}")
    parser.add_argument("--seconds", type=positive, default=120, help="of each; 120 unless given")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    require_known(parser, "break", chosen.names, (broken.name for broken in BREAKS))
    unseen = 0
    for broken in BREAKS:
        if chosen.names and broken.name not in chosen.names:
            continue
        outcome = run_broken(broken, chosen.seconds, chosen.seed)
        rules = Counter(violation.rule for violation in outcome.verdict.violations)
        seen = [f"{rule} ({number:,})" for rule, number in rules.most_common()]
        if outcome.problems:
            seen.append(f"problems ({len(outcome.problems)}): {outcome.problems[0][:150]}")
        unseen += not seen
        print(f"{broken.name}: {', '.join(seen) or 'NOT SEEN'}", flush=True)
    return int(bool(unseen))


if __name__ == "__main__":
    exit_with(main)
