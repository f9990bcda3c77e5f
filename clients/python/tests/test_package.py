"""The package itself: its generated files, both clients, the errors, the values, the socket."""

from __future__ import annotations

import copy
import importlib
import inspect
import os
import pickle
import pkgutil
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from daemons import TOP

import m2client
from m2client import (
    AsyncClient,
    AsyncEventStream,
    AsyncWorkStream,
    CallTimeoutError,
    Client,
    ContactUnknownError,
    DaemonState,
    EventStream,
    LockedError,
    M2Error,
    MessageReceived,
    MessageState,
    NoDaemonError,
    NotAllowedError,
    NotDeliveredError,
    StoppingError,
    UnknownEvent,
    UnknownNotice,
    WorkStream,
    _events,
    _socket,
    errors,
)
from m2client._backoff import Backoff
from m2client._reasons import BY_REASON
from m2client.proto import event_pb2, methods

HERE = Path(__file__).resolve().parent.parent


def test_generated_files_are_up_to_date() -> None:
    """M2_GENERATOR names an interpreter with the right version of grpcio-tools."""
    interpreter = os.environ.get("M2_GENERATOR")
    if interpreter is None:
        pytest.skip("no interpreter with grpcio-tools: set M2_GENERATOR, or run `check`")
    command = [interpreter, str(HERE / "generate.py"), "--check"]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert run.returncode == 0, run.stdout + run.stderr


def test_stubs_cover_all_contracts_and_pollute_no_namespace() -> None:
    protos = {path.stem for path in (TOP / "m2-proto/proto/m2/api/v1").glob("*.proto")}
    assert len(protos) >= 11
    proto = importlib.import_module("m2client.proto")
    for name in protos:
        assert hasattr(proto, f"{name}_pb2"), name
        assert hasattr(proto, f"{name}_pb2_grpc"), name
    code = (
        "import sys; import m2client, m2client.proto; "
        "print(sorted(name for name in sys.modules if name == 'm2' or name.startswith('m2.')))"
    )
    run = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)  # noqa: PLW1510
    assert (run.stdout.strip(), run.returncode) == ("[]", 0), run.stderr


def test_methods_cover_all_services() -> None:
    declared = set()
    for proto in (TOP / "m2-proto/proto/m2/api/v1").glob("*.proto"):
        text = proto.read_text()
        for service, body in re.findall(r"^service (\w+) \{(.*?)^\}", text, re.MULTILINE | re.DOTALL):
            declared |= {f"/m2.api.v1.{service}/{rpc}" for rpc in re.findall(r"rpc (\w+)\(", body)}
    assert len(declared) > 30
    found = {
        method.path
        for service in vars(methods).values()
        if inspect.isclass(service) and service.__module__ == methods.__name__
        for method in vars(service).values()
        if hasattr(method, "path")
    }
    assert found == declared


def test_every_documented_reason_has_a_class() -> None:
    reference = (TOP / "docs/reference/api.md").read_text()
    documented = set(re.findall(r"^\| `([A-Z_]+)` \| [A-Z]\w+ \|", reference, re.MULTILINE))
    assert len(documented) > 30
    assert set(BY_REASON) == documented
    for reason, kind in BY_REASON.items():
        assert kind.reason == reason
        assert issubclass(kind, M2Error)
        assert getattr(m2client, kind.__name__) is getattr(errors, kind.__name__) is kind


def test_everything_exported_exists() -> None:
    for name in m2client.__all__:
        assert hasattr(m2client, name), name
    public = [module.name for module in pkgutil.iter_modules(m2client.__path__) if module.name[0] != "_"]
    assert sorted(public) == ["errors", "proto"]


def test_unknown_reasons_are_the_base_class() -> None:
    error = M2Error("It is full moon.", reason="FULL_MOON", code="UNAVAILABLE")
    assert type(error) is M2Error
    assert error.reason == "FULL_MOON"
    assert M2Error.reason == "UNKNOWN"


@pytest.mark.parametrize(
    "error",
    [
        ContactUnknownError("No contact.", code="NOT_FOUND", metadata={"field": "contact"}),
        M2Error("Later.", reason="FULL_MOON"),
        CallTimeoutError("Too late.", metadata={"message_id": "0" * 32}),
        NotDeliveredError("0" * 32, MessageState.FAILED, "CONTACT_REMOVED"),
        NotDeliveredError("0" * 32, MessageState.EXPIRED, ""),
        StoppingError("Stopping."),
    ],
)
def test_errors_can_be_copied_and_pickled(error: M2Error) -> None:
    for twin in (copy.copy(error), pickle.loads(pickle.dumps(error))):  # noqa: S301
        assert type(twin) is type(error)
        assert vars(twin) == vars(error)
        assert str(twin) == str(error) != ""
        assert twin.reason == error.reason


def test_both_clients_have_the_same_methods() -> None:
    pairs = ((Client, AsyncClient), (EventStream, AsyncEventStream), (WorkStream, AsyncWorkStream))
    for sync, asynchronous in pairs:
        names = public(sync)
        assert public(asynchronous) == names
        assert len(names) >= 2
        for name in names:
            one, other = getattr(sync, name), getattr(asynchronous, name)
            if not callable(one):
                continue
            assert same_kinds(parameters(one)) == same_kinds(parameters(other)), name
            told = other.__doc__.replace("Async", "").replace("task", "thread")
            assert told == one.__doc__, name


def same_kinds(parameters: dict[str, inspect.Parameter]) -> list[inspect.Parameter]:
    """Returns parameters as the synchronous client has them: that for asyncio also takes its iterators."""
    found = [one.replace(annotation=str(one.annotation)) for one in parameters.values()]
    return [one.replace(annotation=one.annotation.replace("Drafts", "Iterable[Draft]")) for one in found]


def test_every_call_has_a_timeout() -> None:
    without = {"close", "closed", "channel"}
    for name in set(public(Client)) - without:
        timeout = parameters(getattr(Client, name))["timeout"]
        assert timeout.kind is timeout.KEYWORD_ONLY, name


def public(kind: type) -> list[str]:
    return sorted(name for name in dir(kind) if not name.startswith("_"))


def parameters(function: Any) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(function).parameters)


def test_every_kind_of_event_is_known() -> None:
    """Each kind in the contract becomes an object of a class of its own, with the kind's name."""
    fields = event_pb2.Event.DESCRIPTOR.oneofs_by_name["kind"].fields
    assert len(fields) > 10
    classes = set()
    for field in fields:
        raw = event_pb2.Event(cursor="c")
        getattr(raw, field.name).SetInParent()
        event = _events.event(raw)
        assert not isinstance(event, UnknownEvent), field.name
        assert event.kind == field.json_name
        assert event.cursor == "c"
        assert event.raw is raw
        classes.add(type(event))
    assert len(classes) == len(fields)


def test_later_kinds_are_unknown_events() -> None:
    # Field 99 with an empty message, as a later daemon would send a new kind.
    raw = event_pb2.Event.FromString(event_pb2.Event(cursor="c").SerializeToString() + b"\x9a\x06\x00")
    event = _events.event(raw)
    assert isinstance(event, UnknownEvent)
    assert (event.kind, event.cursor, event.time) == ("unknown", "c", None)
    assert event.raw.SerializeToString().endswith(b"\x9a\x06\x00")
    notice = _events.notice(event_pb2.Notice.FromString(b"\x9a\x06\x00"))
    assert isinstance(notice, UnknownNotice)
    assert _events.of_response(event_pb2.SubscribeResponse()) is None


def test_later_values_of_enumerations_are_kept() -> None:
    later = MessageState(77)
    assert (later, later.name, str(later)) == (77, "UNKNOWN_77", "UNKNOWN_77")
    assert later == MessageState(77)
    assert later not in list(MessageState)
    assert str(DaemonState.READY) == "READY"
    with pytest.raises(ValueError, match="READY"):
        MessageState("READY")  # type: ignore[arg-type]


def test_times_out_of_range_are_none() -> None:
    raw = event_pb2.Event(cursor="c")
    raw.message_received.sent.seconds = 1 << 60
    event = _events.event(raw)
    assert isinstance(event, MessageReceived)
    assert event.sent is None


def test_values_are_immutable_and_hashable() -> None:
    raw = event_pb2.Event(cursor="c")
    raw.message_received.text = "x"
    event, twin = _events.event(raw), _events.event(raw)
    assert event == twin
    assert hash(event) == hash(twin)
    with pytest.raises(AttributeError):
        event.cursor = "d"  # type: ignore[misc]


def test_pauses_grow_with_jitter() -> None:
    backoff = Backoff()
    pauses = [backoff.next() for _ in range(10)]
    for number, pause in enumerate(pauses):
        longest = min(0.2 * 2**number, 5.0)
        assert longest / 2 <= pause <= longest
    backoff.reset()
    assert backoff.next() <= 0.2


def test_the_socket_is_found_where_m2_looks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    runtime, data = tmp_path / "r", tmp_path / "d"
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    monkeypatch.setenv("XDG_DATA_HOME", str(data))
    monkeypatch.setattr(sys, "platform", "linux")
    in_runtime, in_data = f"{runtime}/m2d/m2d.sock", f"{data}/m2d/run/m2d.sock"
    places = _socket.places()
    assert (places[0], places[-2:]) == (in_runtime, [in_data, "/run/m2d/m2d.sock"])
    run_user = f"/run/user/{os.geteuid()}"
    assert (f"{run_user}/m2d/m2d.sock" in places) == Path(run_user).is_dir()
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert in_runtime not in _socket.places()
    monkeypatch.setenv("XDG_RUNTIME_DIR", "relative")
    assert _socket.places()[-2] == in_data
    monkeypatch.setenv("M2_SOCKET", "")
    assert _socket.places()[-2] == in_data
    monkeypatch.setenv("M2_SOCKET", "/run/other.sock")
    assert _socket.places() == ["/run/other.sock"]
    assert _socket.places(tmp_path / "named") == [str(tmp_path / "named")]
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.delenv("M2_SOCKET")
    monkeypatch.setenv("HOME", "/h")
    assert _socket.places()[-1] == "/h/Library/Application Support/m2d/run/m2d.sock"


def test_the_first_place_that_answers_is_used(tmp_path: Path) -> None:
    first, second = str(tmp_path / "1"), str(tmp_path / "2")
    with pytest.raises(NoDaemonError, match=f"at {first} or {second}"):
        _socket.find([first, second])
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(second)
        listener.listen()
        assert _socket.find([first, second]) == second


def test_a_socket_of_another_user_is_not_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_socket, "_dial", lambda _: PermissionError(13, "Permission denied"))
    with pytest.raises(NotAllowedError, match="/s: Permission denied"):
        _socket.find(["/s"])


def test_a_socket_path_that_is_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match=r"is 201 bytes long; at most"):
        Client("/" + "d" * 200)


def test_locked_is_no_outage() -> None:
    assert not issubclass(LockedError, m2client.DaemonUnavailableError)
    assert issubclass(StoppingError, m2client.DaemonUnavailableError)
