"""Deliver RudderStack events from Kafka to Customer.io through a sidecar: `--help` says how."""

import asyncio
import logging
import signal
import sys

from ciosidecar import AsyncClient, SidecarError, v1

from .options import Options, read_options
from .relay import CannotRun, Relay, UnusableSettings

log = logging.getLogger("kafka_to_customerio")


async def relay(options: Options) -> None:
    """Run a relay until SIGTERM or Ctrl-C.

    Raises:
        CannotRun: Kafka or a topic cannot be used, or the destination's settings are wrong.
        SidecarError: No sidecar answers, or the sidecar refuses the call.
    """
    stop, loop = asyncio.Event(), asyncio.get_running_loop()

    def end(number: signal.Signals) -> None:
        stop.set()
        loop.remove_signal_handler(number)  # the next one ends the program at once

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end, number)
    async with AsyncClient(
        options.targets, tls=options.tls, token_file=options.token_file
    ) as client:
        features = (await client.capabilities()).features
        if v1.Feature.FEATURE_DELIVERY not in features:
            raise CannotRun("the sidecar does not deliver: start it without --no-delivery")
        checked = await client.check(options.destination)
        for problem in checked.problems:
            log.warning("destination: %s %s", problem.key, problem.message)
        if not checked.usable:
            raise CannotRun("the destination is not usable: mend its settings")
        await Relay(options, client, stop).run()


def main() -> None:
    """Run the command. End with one of the exit codes that `--help` lists."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr
    )
    options = read_options()
    try:
        asyncio.run(relay(options))
    except (CannotRun, SidecarError) as failure:
        sys.exit(f"{failure}")
    except UnusableSettings as failure:
        log.error("%s", failure)  # noqa: TRY400 - an operator needs no traceback
        sys.exit(2)


if __name__ == "__main__":
    main()
