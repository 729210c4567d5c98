"""Plays a scenario with a driver, against a real sidecar."""

import contextlib
import json
import math
import os
import queue
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import trustme
from ciosidecar_sandbox.testing import running_sandbox

from tests.ports import free_port
from tests.processes import Server, server

from .languages import Language
from .scenarios import Scenario
from .scripted import recording

ANSWER_WITHIN_S = 180
_UNCHANGED_FOR_S = 0.5


class Sidecar:
    """The sidecar of one scenario, which may have to be another one later."""

    def __init__(self, scenario: Scenario, directory: Path, customerio_url: str | None) -> None:
        self._flags = list(scenario.server)
        if customerio_url is not None:
            self._flags += ["--customerio-url", customerio_url]
        if scenario.destinations:
            file = directory / "destinations.json"
            file.write_text(json.dumps({"destinations": scenario.destinations}))
            self._flags += ["--destinations", str(file)]
        self._running: contextlib.AbstractContextManager[Server] | None = None
        self._silent: socket.socket | None = None
        self._scripted: contextlib.AbstractContextManager[Any] | None = None
        self.files: dict[str, str] = {}
        """Files of certificates for the driver, by their keys in its first line."""
        self.recorded: dict[str, Any] | None = None
        if scenario.listen == "silent":
            self._silent = socket.create_server(("127.0.0.1", 0))
            self.addresses = [f"127.0.0.1:{self._silent.getsockname()[1]}"]
            return
        if scenario.listen == "nobody":
            self.addresses = []
            if scenario.ca:
                self._certificates(directory, scenario)
            return
        if scenario.listen == "scripted":
            self._scripted = recording(scenario.script)
            address, sidecar = self._scripted.__enter__()
            self.addresses, self.recorded = [address], sidecar.recorded
            return
        listen = f"127.0.0.1:{free_port()}"
        if scenario.listen == "unix":
            listen = f"unix:{directory}/sidecar.sock"
        elif scenario.listen == "abstract":
            listen = f"unix-abstract:ciosidecar-polyglot-{os.getpid()}"
        elif scenario.listen in ("tls", "mtls"):
            self._flags += self._certificates(directory, scenario)
        if scenario.server_token is not None:
            token_file = directory / "token"
            token_file.write_text(f"{scenario.server_token}\n")
            self._flags.append(f"--auth-token-file={token_file}")
        self.addresses = self._start(listen).addresses

    def _certificates(self, directory: Path, scenario: Scenario) -> list[str]:
        authority, paths = trustme.CA(), {}
        for name in ("server", "driver"):
            pair = authority.issue_cert("127.0.0.1", "localhost")
            paths[name] = (directory / f"{name}.pem", directory / f"{name}-key.pem")
            pair.cert_chain_pems[0].write_to_path(paths[name][0])
            pair.private_key_pem.write_to_path(paths[name][1])
        known = directory / "ca.pem"
        authority.cert_pem.write_to_path(known)
        trusted = known
        if scenario.strange_ca:
            trusted = directory / "strange-ca.pem"
            trustme.CA().cert_pem.write_to_path(trusted)
        self.files["ca_file"] = str(trusted)
        if scenario.certificate:
            certificate, key = paths["driver"]
            self.files |= {"certificate_file": str(certificate), "key_file": str(key)}
        certificate, key = paths["server"]
        flags = [f"--tls-cert={certificate}", f"--tls-key={key}"]
        return flags + ([f"--tls-client-ca={known}"] if scenario.listen == "mtls" else [])

    def _start(self, listen: str) -> Server:
        self._running = server("--listen", listen, "--log-level", "error", *self._flags)
        self._process = self._running.__enter__()
        return self._process

    def replace(self, number: signal.Signals) -> None:
        """End it with a signal, wait until it is gone and start another at its address."""
        self._process.signal(number)
        self._process.end()
        self.stop()
        self._start(self.addresses[0])

    def stop(self) -> None:
        """End it."""
        if self._silent is not None:
            self._silent.close()
        for running in (self._running, self._scripted):
            if running is not None:
                running.__exit__(None, None, None)


class Driver:
    """A driver's process: lines in as it takes them, lines out as they are asked for."""

    def __init__(
        self,
        language: Language,
        opening: bytes,
        lines: list[bytes],
        environment: dict[str, str],
        *,
        lockstep: bool,
    ) -> None:
        self._answered = threading.Semaphore() if lockstep else None
        self._process = subprocess.Popen(
            language.command,
            cwd=language.directory,
            env=os.environ | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.fed_at = 0.0
        """When the last line was handed over."""
        self.taken = 0
        """Lines of input it has taken, or its pipe."""
        self._feeding = threading.Thread(target=self._feed, args=(opening, lines), daemon=True)
        self._feeding.start()
        self._errors: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._listening = threading.Thread(target=self._listen, daemon=True)
        self._listening.start()
        self._overdue = threading.Timer(ANSWER_WITHIN_S, self._process.kill)
        self._overdue.start()

    @property
    def _pipes(self) -> list[Any]:
        return [self._process.stdin, self._process.stdout, self._process.stderr]

    def _feed(self, opening: bytes, lines: list[bytes]) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError), self._process.stdin as found:
            found.write(opening + b"\n")
            found.flush()
            for line in lines:
                if self._answered is not None:
                    self._answered.acquire()
                self.fed_at = time.monotonic()
                found.write(line + b"\n")
                found.flush()
                self.taken += 1

    def _listen(self) -> None:
        assert self._process.stderr is not None
        self._errors.put(self._process.stderr.read())

    def lines(self) -> Iterator[dict[str, Any]]:
        """Yield what the driver writes, until it ends. Raise RuntimeError if it fails or takes too long."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            yield json.loads(line)
            if self._answered is not None:
                self._answered.release()
        code = self._process.wait(ANSWER_WITHIN_S)
        if code != 0:
            raise RuntimeError(f"exit code {code}: {self._errors.get()[-3000:].decode()}")

    def wait_until_full(self) -> int:
        """Return how many lines were taken, once there are no more for half a second."""
        unchanged = threading.Event()
        while True:
            before = self.taken
            unchanged.wait(_UNCHANGED_FOR_S)
            if self.taken == before:
                return before

    def end(self) -> None:
        """End it if it has not ended."""
        self._overdue.cancel()
        if self._answered is not None:
            self._answered.release(1 << 20)
        self._process.kill()
        self._process.wait(ANSWER_WITHIN_S)
        for thread in (self._feeding, self._listening):
            thread.join(ANSWER_WITHIN_S)
        for pipe in self._pipes:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


def play(scenario: Scenario, language: Language, directory: Path) -> list[dict[str, Any]]:
    """Play a scenario. Return the lines that the driver wrote; the last says how it ended.

    Its `taken_unread` is how many events it took while it was not read, where that was tried;
    `in_the_sandbox` how many events arrived there; `recorded` what a scripted sidecar saw; `fastest_ms`
    how long the fastest answer took where events went in lockstep.
    """
    with contextlib.ExitStack() as stack:
        sandbox = None
        if scenario.customerio == "sandbox":
            sandbox = stack.enter_context(
                running_sandbox(**({"fault": scenario.fault} if scenario.fault else {}))
            )
        sidecar = Sidecar(scenario, directory, sandbox.url if sandbox else None)
        stack.callback(sidecar.stop)
        opening = scenario.opening(sidecar.addresses, sidecar.files)
        driver = Driver(
            language,
            opening,
            scenario.lines,
            scenario.environment,
            lockstep=scenario.meanwhile == "lockstep",
        )
        stack.callback(driver.end)
        found = _play(scenario, sidecar, driver)
        if sandbox is not None:
            found[-1]["in_the_sandbox"] = sum(
                len(person.timeline or ()) for person in sandbox.workspace.people
            )
        if sidecar.recorded is not None:
            found[-1]["recorded"] = sidecar.recorded
        return found


def _play(scenario: Scenario, sidecar: Sidecar, driver: Driver) -> list[dict[str, Any]]:
    found = []
    replacing: threading.Thread | None = None
    taken_unread = None
    fastest_ms = math.inf
    for line in driver.lines():
        found.append(line)
        # The first waits for a connection, and the last is sent at once: the input has ended.
        if "end" not in line and 1 < len(found) < len(scenario.lines):
            fastest_ms = min(fastest_ms, (time.monotonic() - driver.fed_at) * 1000)
        if scenario.meanwhile == "wait" and taken_unread is None:
            taken_unread = driver.wait_until_full()
        if (
            scenario.meanwhile in ("drain", "kill")
            and replacing is None
            and len(found) >= len(scenario.lines) // 3
        ):
            # Beside the reading: a server that drains wants its answers taken.
            number = signal.SIGTERM if scenario.meanwhile == "drain" else signal.SIGKILL
            replacing = threading.Thread(target=sidecar.replace, args=(number,))
            replacing.start()
    if replacing is not None:
        replacing.join(ANSWER_WITHIN_S)
    if scenario.meanwhile == "lockstep":
        found[-1]["fastest_ms"] = fastest_ms
    if taken_unread is not None:
        found[-1]["taken_unread"] = taken_unread
    return found
