"""Search one door for bytes that it can't take: ``python -m tests.fuzz DOOR SECONDS``.

What leads atheris to new code is kept in the corpus; a crash is written beside it as ``crash-*``.
"""

import sys
from pathlib import Path

try:
    import atheris
except ImportError:
    sys.exit("atheris is missing: `make fuzz` installs it, on Linux")

with atheris.instrument_imports(include=["adapters", "jobs"]):
    from tests.fuzz.doors import DOORS

CORPUS = Path(__file__).parent / "corpus"
MAX_BYTES = 4096


def main() -> None:
    """Fuzz the door that the command line names."""
    door, seconds = sys.argv[1:]
    folder = CORPUS / door
    arguments = [
        sys.argv[0],
        str(folder),
        f"-max_total_time={seconds}",
        f"-max_len={MAX_BYTES}",
        f"-artifact_prefix={folder}/",
        "-print_final_stats=1",
    ]
    atheris.Setup(arguments, DOORS[door])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
