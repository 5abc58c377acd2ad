"""Compile the .proto files to `swarmd/rpc/pb`, the same bytes on every run.

protoc writes absolute imports from the proto root (`docker.swarmkit.v1`), which would claim the
top-level name `docker` and clash with the client library of that name. The generated modules live
below `swarmd.rpc.pb` instead, so their imports are rewritten. The output is committed; a check that
regeneration leaves no difference is what keeps it honest.

Run from anywhere: `python proto/generate.py`.
"""

import re
import shutil
import sys
from importlib import resources
from pathlib import Path

from grpc_tools import protoc

PROTO_ROOT = Path(__file__).resolve().parent
PACKAGE = "swarmd.rpc.pb"
OUTPUT = PROTO_ROOT.parent / "swarmd" / "rpc" / "pb"
GENERATED = ("docker", "swarmd")

_OWN_IMPORT = re.compile(r"^from (docker|swarmd)\.(\S+) import ", re.MULTILINE)


def compile_all() -> None:
    """Replace everything generated earlier; a removed .proto leaves no module behind."""
    sources = sorted(str(p.relative_to(PROTO_ROOT)) for p in PROTO_ROOT.rglob("*.proto"))
    for name in GENERATED:
        shutil.rmtree(OUTPUT / name, ignore_errors=True)
    well_known = resources.files("grpc_tools") / "_proto"
    status = protoc.main(
        [
            "protoc",
            f"-I{PROTO_ROOT}",
            f"-I{well_known}",
            f"--python_out={OUTPUT}",
            f"--pyi_out={OUTPUT}",
            *sources,
        ]
    )
    if status != 0:
        sys.exit(f"protoc failed with status {status}")
    for name in GENERATED:
        for path in sorted((OUTPUT / name).rglob("*")):
            if path.is_dir():
                (path / "__init__.py").write_text("")
            else:
                text = path.read_text()
                path.write_text(_OWN_IMPORT.sub(rf"from {PACKAGE}.\1.\2 import ", text))
        (OUTPUT / name / "__init__.py").write_text("")


if __name__ == "__main__":
    compile_all()
