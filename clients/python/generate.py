#!/usr/bin/env python3
"""Writes the generated files of the package from the contracts of the API.

`src/m2client/_proto` comes from the proto files, `src/m2client/_reasons.py` from the table of reasons
in the reference. Needs the packages of the extra `generate`. With `--check`, it changes nothing and
fails if a file is stale.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOP = HERE.parent.parent
PACKAGE = HERE / "src" / "m2client"
PROTOS = TOP / "m2-proto" / "proto"
REFERENCE = TOP / "docs" / "reference" / "api.md"
API = "m2/api/v1"
HEADER = "Written by clients/python/generate.py."

# The base class of each reason's error: that of the first pattern that matches. A reason that no
# pattern matches has the base class of all errors.
GROUPS = [
    (r"STOPPING", "DaemonUnavailableError"),
    (r"LOCKED|NOT_LOCKED|WRONG_PASSPHRASE|NOT_ALLOWED|TOKEN_.*", "AccessError"),
    (r"INVALID_ARGUMENT|LIMIT_REACHED", "RequestError"),
    (r"STORE_.*|DISK_FULL", "StoreError"),
    (r"BACKUP_.*|NO_PASSPHRASE", "BackupError"),
    (r"INVITATION_.*|OTHER_CIRCLE", "InvitationError"),
    (r"CONTACT_.*|NAME_TAKEN|NOT_A_CONTACT|NO_REQUEST", "ContactError"),
    (r"MAILBOX_.*", "MailboxError"),
    (r"LINE_.*", "LineError"),
    (r"MESSAGE_.*|NOT_AUTHOR|KEY_REUSED|OUTBOX_FULL", "MessageError"),
    (r"CURSOR_.*|CLIENT_.*", "EventError"),
]


def main() -> int:
    """Writes or checks the files. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail if a file is stale")
    check = parser.parse_args().check
    stale = [path for path, text in sorted(files().items()) if read(path) != text]
    surplus = sorted(set((PACKAGE / "_proto").glob("*.py*")) - set(files()))
    if check:
        for path in stale + surplus:
            print(f"{path.relative_to(HERE)}: stale; run clients/python/generate.py")
        return 1 if stale or surplus else 0
    for path in surplus:
        path.unlink()
    for path in stale:
        path.parent.mkdir(exist_ok=True)
        path.write_text(files()[path], encoding="utf-8")
        print(f"wrote {path.relative_to(HERE)}")
    return 0


_FILES: dict[Path, str] = {}


def files() -> dict[Path, str]:
    """Returns the text of every generated file."""
    if not _FILES:
        _FILES.update(stubs())
        _FILES[PACKAGE / "_proto" / "__init__.py"] = f'"""The generated code. {HEADER}"""\n'
        _FILES[PACKAGE / "_proto" / "methods.py"] = methods()
        _FILES[PACKAGE / "_reasons.py"] = reasons(documented())
        _FILES[PACKAGE / "errors.py"] = errors(documented())
    return _FILES


def read(path: Path) -> str | None:
    """Returns the text of a file, or `None` if there is none."""
    return path.read_text(encoding="utf-8") if path.exists() else None


def stubs() -> dict[Path, str]:
    """Returns the modules that protoc writes, with imports from inside the package."""
    with tempfile.TemporaryDirectory() as directory:
        protoc(f"--python_out={directory}", f"--pyi_out={directory}", f"--grpc_python_out={directory}")
        written = sorted((Path(directory) / API).iterdir())
        return {PACKAGE / "_proto" / path.name: inside(path.read_text(encoding="utf-8")) for path in written}


def inside(text: str) -> str:
    """Returns generated code that imports its neighbours from the package, not from `m2.api.v1`."""
    package = API.replace("/", ".")
    return re.sub(rf"^from {re.escape(package)} import", "from . import", text, flags=re.MULTILINE)


def protoc(*arguments: str) -> None:
    """Runs protoc on the API's files, with the well-known types of grpcio-tools."""
    import grpc_tools.protoc  # noqa: PLC0415 (not needed to import this module)

    include = str(Path(grpc_tools.protoc.__file__).parent / "_proto")
    protos = sorted(str(path) for path in (PROTOS / API).glob("*.proto"))
    code = grpc_tools.protoc.main(["protoc", f"-I{PROTOS}", f"-I{include}", *arguments, *protos])
    if code != 0:
        raise SystemExit(f"protoc failed with exit code {code}")


def methods() -> str:
    """Returns the module with one class a service, which holds the service's methods."""
    from google.protobuf.descriptor_pb2 import FileDescriptorSet  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as directory:
        target = Path(directory) / "api.binpb"
        protoc(f"--descriptor_set_out={target}", "--include_source_info")
        described = FileDescriptorSet.FromString(target.read_bytes())
    lines = [f'"""The methods of the API. {HEADER}"""', "", "from typing import Final", ""]
    modules = {module_of(file.name) for file in described.file if file.service}
    lines.append("from .._method import BidiMethod, StreamMethod, UnaryMethod")
    lines.append(f"from . import {', '.join(sorted(modules))}")
    for file in described.file:
        for service in file.service:
            lines += ["", "", f"class {service.name}:"]
            lines.append(f'    """The methods of `{file.package}.{service.name}`."""')
            lines.append("")
            for method in service.method:
                kind = "StreamMethod" if method.server_streaming else "UnaryMethod"
                kind = "BidiMethod" if method.client_streaming else kind
                module = module_of(file.name)
                lines.append(f"    {method.name}: Final = {kind}(")
                lines.append(f'        "/{file.package}.{service.name}/{method.name}",')
                for name in (method.input_type, method.output_type):
                    lines.append(f"        {module}.{name.rsplit('.', 1)[1]},")
                lines.append("    )")
    return "\n".join(lines) + "\n"


def module_of(proto: str) -> str:
    """Returns the name of the module that protoc writes for a file."""
    return proto.rsplit("/", 1)[1].replace(".proto", "_pb2")


def documented() -> list[tuple[str, str]]:
    """Returns the reasons in the reference, each with its sentence."""
    reference = REFERENCE.read_text(encoding="utf-8")
    found = re.findall(r"^\| `([A-Z_]+)` \| [A-Z]\w+ \| (.+) \|$", reference, flags=re.MULTILINE)
    if not found:
        raise SystemExit("the reference has no table of reasons")
    return found


def errors(found: list[tuple[str, str]]) -> str:
    """Returns the public module with all errors."""
    text = (PACKAGE / "_errors.py").read_text(encoding="utf-8")
    exported = re.search(r"^__all__ = \[(.*?)\]", text, flags=re.MULTILINE | re.DOTALL)
    if not exported:
        raise SystemExit("_errors.py has no list of exports")
    bases = sorted(re.findall(r'"(\w+)"', exported[1]))
    names = sorted(class_of(reason) for reason, _ in found)
    lines = [f'"""All errors: the base classes, and one class for each reason. {HEADER}"""', ""]
    for module, imported in (("_errors", bases), ("_reasons", names)):
        lines += [f"from .{module} import (", *(f"    {name}," for name in imported), ")"]
    lines += ["", "__all__ = [", *(f'    "{name}",' for name in sorted(bases + names)), "]"]
    return "\n".join(lines) + "\n"


def reasons(found: list[tuple[str, str]]) -> str:
    """Returns the module with one class of error for each documented reason."""
    bases = sorted({"M2Error", *(group_of(reason) for reason, _ in found)})
    names = sorted(class_of(reason) for reason, _ in found)
    lines = [f'"""One error for each reason. {HEADER}"""', "", "from typing import Final", ""]
    lines += ["from ._errors import (", *(f"    {base}," for base in bases), ")", ""]
    lines += ["__all__ = [", *(f'    "{name}",' for name in names), "]"]
    for reason, sentence in found:
        lines += ["", "", f"class {class_of(reason)}({group_of(reason)}):"]
        lines += [*docstring(sentence), "", f'    reason = "{reason}"']
    lines += ["", "", "BY_REASON: Final[dict[str, type[M2Error]]] = {"]
    lines += [f'    "{reason}": {class_of(reason)},' for reason, _ in found]
    return "\n".join(lines) + "\n}\n"


def docstring(sentence: str) -> list[str]:
    """Returns the lines of a class's docstring: the sentences of the reference, one a line."""
    first, *rest = re.split(r"(?<=\.) (?=[A-Z])", sentence)
    if not rest:
        return [f'    """{first}"""']
    return [f'    """{first}', "", *(f"    {other}" for other in rest), '    """']


def class_of(reason: str) -> str:
    """Returns the name of the class for a reason: `ContactUnknownError` for `CONTACT_UNKNOWN`."""
    words = reason.removesuffix("_ERROR").split("_")
    return "".join(word.capitalize() for word in words) + "Error"


def group_of(reason: str) -> str:
    """Returns the name of the base class for a reason."""
    for pattern, group in GROUPS:
        if re.fullmatch(pattern, reason):
            return group
    return "M2Error"


if __name__ == "__main__":
    sys.exit(main())
