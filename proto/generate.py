"""Compile the .proto files to `swarmd/rpc/pb`, the same bytes on every run.

protoc writes absolute imports from the proto root (`docker.swarmkit.v1`), which would claim the
top-level name `docker` and clash with the client library of that name. The generated modules live
below `swarmd.rpc.pb` instead, so their imports are rewritten. The output is committed; a check that
regeneration leaves no difference is what keeps it honest.

Run from anywhere: `python proto/generate.py`. With `--check` nothing is written; the exit status
says whether what is committed is what would be generated.
"""

import re
import shutil
import sys
import tempfile
from importlib import resources
from pathlib import Path

from grpc_tools import protoc

PROTO_ROOT = Path(__file__).resolve().parent
PACKAGE = "swarmd.rpc.pb"
OUTPUT = PROTO_ROOT.parent / "swarmd" / "rpc" / "pb"
GENERATED = ("containerd", "docker", "swarmd")

_OWN_IMPORT = re.compile(r"^from (containerd|docker|swarmd)(\S*) import ", re.MULTILINE)


def replace_all(output: Path) -> None:
    """Replace everything generated earlier; a removed .proto leaves no module behind.

    A .proto that does not compile ends the program and leaves what is there as it is.
    """
    with tempfile.TemporaryDirectory() as directory:
        fresh = Path(directory)
        compile_all(fresh)
        for name in GENERATED:
            shutil.rmtree(output / name, ignore_errors=True)
            shutil.copytree(fresh / name, output / name)


def compile_all(output: Path) -> None:
    """Generate into an empty directory."""
    sources = sorted(str(p.relative_to(PROTO_ROOT)) for p in PROTO_ROOT.rglob("*.proto"))
    well_known = resources.files("grpc_tools") / "_proto"
    status = protoc.main(
        [
            "protoc",
            f"-I{PROTO_ROOT}",
            f"-I{well_known}",
            f"--python_out={output}",
            f"--pyi_out={output}",
            *sources,
        ]
    )
    if status != 0:
        sys.exit(f"protoc failed with status {status}")
    for name in GENERATED:
        for path in sorted((output / name).rglob("*")):
            if path.is_dir():
                (path / "__init__.py").write_text("")
            else:
                text = path.read_text()
                path.write_text(_OWN_IMPORT.sub(rf"from {PACKAGE}.\1\2 import ", text))
        (output / name / "__init__.py").write_text("")


def differences() -> list[str]:
    """Generated files that are missing, stale or left over, by their path below the output."""
    with tempfile.TemporaryDirectory() as directory:
        fresh = Path(directory)
        compile_all(fresh)
        wanted, present = _contents(fresh), _contents(OUTPUT)
    return sorted(
        path for path in wanted.keys() | present.keys() if wanted.get(path) != present.get(path)
    )


def _contents(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for name in GENERATED
        for path in (root / name).rglob("*.py*")
        if path.suffix in (".py", ".pyi")
    }


def main(arguments: list[str]) -> int:
    """Generate, or only compare; returns the exit status."""
    if arguments == ["--check"]:
        stale = differences()
        for path in stale:
            print(f"{path} is not what proto/ says; run `make proto`", file=sys.stderr)
        return 1 if stale else 0
    if arguments:
        print("usage: generate.py [--check]", file=sys.stderr)
        return 2
    replace_all(OUTPUT)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
