"""Examples at the end of the --help of each command. At 80 columns no line of them may break."""

_EXAMPLES = {
    "serve": """
ciosidecar serve --listen 127.0.0.1:50550 --listen unix:/tmp/ciosidecar.sock
CIOSIDECAR_LISTEN=127.0.0.1:0 ciosidecar serve --log-level debug
""",
    "transform": """
ciosidecar transform events.jsonl --config destination.json
tail -n 5 events.jsonl | ciosidecar transform --config destination.json --pack
""",
    "deliver": """
ciosidecar deliver events.jsonl --config destination.json \\
    --customerio-url http://127.0.0.1:8089
ciosidecar deliver events.jsonl --config destination.json \\
    --failed failed.jsonl
ciosidecar deliver failed.jsonl --config destination.json
""",
    "backfill": """
ciosidecar backfill events/ --config destination.json --output out
ciosidecar backfill 'year=2025/*.jsonl.gz' --config destination.json \\
    --output out --workers 8 --pack
ciosidecar backfill events/ --config destination.json --output out \\
    --deliver --address 127.0.0.1:50550 --address 127.0.0.1:50551
""",
    "check": """
ciosidecar check --config destination.json
ciosidecar check --config destination.json --probe \\
    --customerio-url http://127.0.0.1:8089
""",
    "health": """
ciosidecar health
ciosidecar health --admin 127.0.0.1:50549 --timeout-s 1
""",
    "top": """
ciosidecar top
ciosidecar top --admin 127.0.0.1:50549
""",
    "tap": """
ciosidecar tap --outcome failed --limit 10
ciosidecar tap --admin 127.0.0.1:50549 --destination shop
""",
    "sandbox": """
ciosidecar sandbox
ciosidecar sandbox --listen 127.0.0.1:0 --fault 503=0.05,slow=0.01:2s
ciosidecar sandbox --region eu    # for destinations with datacenter EU
""",
    "completion": """
source <(ciosidecar completion bash)
ciosidecar completion fish > ~/.config/fish/completions/ciosidecar.fish
""",
}


def examples(command: str) -> str:
    """Return the examples of a command as the last paragraph of its help."""
    lines = _EXAMPLES[command].strip().splitlines()
    return "\n".join(["Examples:", "", *(f"    {line}" for line in lines)])
