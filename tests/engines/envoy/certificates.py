"""Two authorities, one of the callers and one of the servers, and the files that envoy.yaml names."""

from pathlib import Path

import trustme

SIDECARS = "sidecars.example"


class Certificates:
    """PEM files in a directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir()
        callers, servers = trustme.CA(), trustme.CA()
        callers.cert_pem.write_to_path(directory / "callers-ca.pem")
        servers.cert_pem.write_to_path(directory / "sidecars-ca.pem")
        self._issue(servers, "server", "127.0.0.1", "localhost")
        self._issue(servers, "client", "envoy.example")
        self._issue(servers, "sidecar", SIDECARS)
        self._issue(callers, "caller", "caller.example")
        # Of an authority that Envoy does not know.
        self._issue(trustme.CA(), "stranger", "caller.example")

    def _issue(self, authority: trustme.CA, name: str, *names: str) -> None:
        issued = authority.issue_cert(*names)
        issued.cert_chain_pems[0].write_to_path(self.directory / f"{name}.pem")
        issued.private_key_pem.write_to_path(self.directory / f"{name}-key.pem")

    def file(self, name: str) -> str:
        """Return the path of a file."""
        return str(self.directory / name)

    def sidecar_flags(self) -> tuple[str, ...]:
        """Return the flags of a sidecar that only Envoy may call."""
        return (
            *("--tls-cert", self.file("sidecar.pem"), "--tls-key", self.file("sidecar-key.pem")),
            *("--tls-client-ca", self.file("sidecars-ca.pem")),
        )

    def caller_files(self, name: str = "caller") -> dict[str, str]:
        """Return the files of a caller, by their keys in a driver's first line."""
        return {
            "ca_file": self.file("sidecars-ca.pem"),
            "certificate_file": self.file(f"{name}.pem"),
            "key_file": self.file(f"{name}-key.pem"),
        }
