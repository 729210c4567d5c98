"""What a command imports: it starts faster without what it does not use."""

import subprocess
import sys

import pytest

SERVER = ("ciosidecar_server.app", "ciosidecar_server.rpc.service", "prometheus_client")
READS_CERTIFICATES = ("cryptography", "ciosidecar_server.certificates")


def imported(code: str) -> set[str]:
    """The modules that a new interpreter has at the end of some code."""
    names = f"import sys\n{code}\nsys.stdout.write(chr(10).join(['', 'MODULES', *sys.modules]))"
    done = subprocess.run(
        [sys.executable, "-c", names], check=True, capture_output=True, text=True, timeout=60
    )
    return set(done.stdout.partition("\nMODULES\n")[2].splitlines())


def of_command(*words: str) -> set[str]:
    """The modules that a command has imported when it ends."""
    return imported(
        f"sys.argv = {['ciosidecar', *words]!r}\n"
        "from ciosidecar_server.cli import main\n"
        "try:\n    main()\nexcept SystemExit as ended:\n    assert not ended.code"
    )


@pytest.mark.parametrize("words", [("--help",), ("--version",), ("serve", "--help")])
def test_help_does_not_import_the_server(words: tuple[str, ...]) -> None:
    """Nor does the version."""
    assert of_command(*words).isdisjoint(SERVER)


def test_a_server_without_tls_does_not_import_what_reads_certificates() -> None:
    """It takes a tenth of the start."""
    modules = imported("import ciosidecar_server.app")
    assert modules.issuperset(SERVER)
    assert modules.isdisjoint(READS_CERTIFICATES)


@pytest.mark.parametrize("variable", ["LISTEN", "SANDBOX_LISTEN"])
def test_serve_does_not_import_the_other_commands(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable that is no setting of `serve` would be looked up among theirs; those two are known without."""
    monkeypatch.setenv(f"CIOSIDECAR_{variable}", "127.0.0.1:0")
    modules = of_command("serve", "--check", "--listen", "127.0.0.1:0")
    others = ("deliver", "backfill", "top", "tap", "health")
    assert "ciosidecar_server.cli.serve" in modules
    assert modules.isdisjoint(f"ciosidecar_server.cli.{name}" for name in others)
    assert "multiprocessing" not in modules
