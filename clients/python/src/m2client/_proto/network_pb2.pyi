from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class IpMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    IP_MODE_UNSPECIFIED: _ClassVar[IpMode]
    IP_MODE_DIRECT: _ClassVar[IpMode]
    IP_MODE_PREFER_LINE: _ClassVar[IpMode]
    IP_MODE_LINE_ONLY: _ClassVar[IpMode]

class Path(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PATH_UNSPECIFIED: _ClassVar[Path]
    PATH_NONE: _ClassVar[Path]
    PATH_DIRECT: _ClassVar[Path]
    PATH_LINE: _ClassVar[Path]

class FailClosed(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FAIL_CLOSED_UNSPECIFIED: _ClassVar[FailClosed]
    FAIL_CLOSED_NOT_IN_FORCE: _ClassVar[FailClosed]
    FAIL_CLOSED_HOLDS: _ClassVar[FailClosed]
    FAIL_CLOSED_BROKEN: _ClassVar[FailClosed]

class Reachability(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REACHABILITY_UNSPECIFIED: _ClassVar[Reachability]
    REACHABILITY_UNKNOWN: _ClassVar[Reachability]
    REACHABILITY_HIDDEN: _ClassVar[Reachability]
    REACHABILITY_OPEN: _ClassVar[Reachability]
    REACHABILITY_MAPPED: _ClassVar[Reachability]
    REACHABILITY_NAT: _ClassVar[Reachability]
    REACHABILITY_NAT_SYMMETRIC: _ClassVar[Reachability]

class AddressSource(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ADDRESS_SOURCE_UNSPECIFIED: _ClassVar[AddressSource]
    ADDRESS_SOURCE_ANNOUNCED: _ClassVar[AddressSource]
    ADDRESS_SOURCE_MAPPED: _ClassVar[AddressSource]
    ADDRESS_SOURCE_RELAY: _ClassVar[AddressSource]
    ADDRESS_SOURCE_CONTACT: _ClassVar[AddressSource]
    ADDRESS_SOURCE_INTERFACE: _ClassVar[AddressSource]

class WaySource(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    WAY_SOURCE_UNSPECIFIED: _ClassVar[WaySource]
    WAY_SOURCE_KNOWN: _ClassVar[WaySource]
    WAY_SOURCE_LAN: _ClassVar[WaySource]
    WAY_SOURCE_LINE: _ClassVar[WaySource]
    WAY_SOURCE_DHT: _ClassVar[WaySource]
    WAY_SOURCE_GATEWAY: _ClassVar[WaySource]
IP_MODE_UNSPECIFIED: IpMode
IP_MODE_DIRECT: IpMode
IP_MODE_PREFER_LINE: IpMode
IP_MODE_LINE_ONLY: IpMode
PATH_UNSPECIFIED: Path
PATH_NONE: Path
PATH_DIRECT: Path
PATH_LINE: Path
FAIL_CLOSED_UNSPECIFIED: FailClosed
FAIL_CLOSED_NOT_IN_FORCE: FailClosed
FAIL_CLOSED_HOLDS: FailClosed
FAIL_CLOSED_BROKEN: FailClosed
REACHABILITY_UNSPECIFIED: Reachability
REACHABILITY_UNKNOWN: Reachability
REACHABILITY_HIDDEN: Reachability
REACHABILITY_OPEN: Reachability
REACHABILITY_MAPPED: Reachability
REACHABILITY_NAT: Reachability
REACHABILITY_NAT_SYMMETRIC: Reachability
ADDRESS_SOURCE_UNSPECIFIED: AddressSource
ADDRESS_SOURCE_ANNOUNCED: AddressSource
ADDRESS_SOURCE_MAPPED: AddressSource
ADDRESS_SOURCE_RELAY: AddressSource
ADDRESS_SOURCE_CONTACT: AddressSource
ADDRESS_SOURCE_INTERFACE: AddressSource
WAY_SOURCE_UNSPECIFIED: WaySource
WAY_SOURCE_KNOWN: WaySource
WAY_SOURCE_LAN: WaySource
WAY_SOURCE_LINE: WaySource
WAY_SOURCE_DHT: WaySource
WAY_SOURCE_GATEWAY: WaySource

class DoctorRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DoctorResponse(_message.Message):
    __slots__ = ("ip", "fail_closed", "sections", "advice")
    IP_FIELD_NUMBER: _ClassVar[int]
    FAIL_CLOSED_FIELD_NUMBER: _ClassVar[int]
    SECTIONS_FIELD_NUMBER: _ClassVar[int]
    ADVICE_FIELD_NUMBER: _ClassVar[int]
    ip: IpMode
    fail_closed: FailClosed
    sections: _containers.RepeatedCompositeFieldContainer[DoctorSection]
    advice: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, ip: _Optional[_Union[IpMode, str]] = ..., fail_closed: _Optional[_Union[FailClosed, str]] = ..., sections: _Optional[_Iterable[_Union[DoctorSection, _Mapping]]] = ..., advice: _Optional[_Iterable[str]] = ...) -> None: ...

class DoctorSection(_message.Message):
    __slots__ = ("title", "sentences")
    TITLE_FIELD_NUMBER: _ClassVar[int]
    SENTENCES_FIELD_NUMBER: _ClassVar[int]
    title: str
    sentences: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, title: _Optional[str] = ..., sentences: _Optional[_Iterable[str]] = ...) -> None: ...

class GetNetworkStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetNetworkStatusResponse(_message.Message):
    __slots__ = ("ip", "reachability", "addresses", "lookup", "contacts")
    IP_FIELD_NUMBER: _ClassVar[int]
    REACHABILITY_FIELD_NUMBER: _ClassVar[int]
    ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    LOOKUP_FIELD_NUMBER: _ClassVar[int]
    CONTACTS_FIELD_NUMBER: _ClassVar[int]
    ip: IpMode
    reachability: Reachability
    addresses: _containers.RepeatedCompositeFieldContainer[KnownAddress]
    lookup: _containers.RepeatedCompositeFieldContainer[LookupState]
    contacts: _containers.RepeatedCompositeFieldContainer[ContactPath]
    def __init__(self, ip: _Optional[_Union[IpMode, str]] = ..., reachability: _Optional[_Union[Reachability, str]] = ..., addresses: _Optional[_Iterable[_Union[KnownAddress, _Mapping]]] = ..., lookup: _Optional[_Iterable[_Union[LookupState, _Mapping]]] = ..., contacts: _Optional[_Iterable[_Union[ContactPath, _Mapping]]] = ...) -> None: ...

class KnownAddress(_message.Message):
    __slots__ = ("address", "source")
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    address: str
    source: AddressSource
    def __init__(self, address: _Optional[str] = ..., source: _Optional[_Union[AddressSource, str]] = ...) -> None: ...

class LookupState(_message.Message):
    __slots__ = ("source", "enabled", "works", "about")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    ENABLED_FIELD_NUMBER: _ClassVar[int]
    WORKS_FIELD_NUMBER: _ClassVar[int]
    ABOUT_FIELD_NUMBER: _ClassVar[int]
    source: WaySource
    enabled: bool
    works: bool
    about: str
    def __init__(self, source: _Optional[_Union[WaySource, str]] = ..., enabled: bool = ..., works: bool = ..., about: _Optional[str] = ...) -> None: ...

class ContactPath(_message.Message):
    __slots__ = ("peer_id", "name", "path", "round_trip", "known_addresses", "lan_addresses", "dht_addresses", "lines")
    PEER_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    ROUND_TRIP_FIELD_NUMBER: _ClassVar[int]
    KNOWN_ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    LAN_ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    DHT_ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    peer_id: str
    name: str
    path: Path
    round_trip: _duration_pb2.Duration
    known_addresses: int
    lan_addresses: int
    dht_addresses: int
    lines: int
    def __init__(self, peer_id: _Optional[str] = ..., name: _Optional[str] = ..., path: _Optional[_Union[Path, str]] = ..., round_trip: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., known_addresses: _Optional[int] = ..., lan_addresses: _Optional[int] = ..., dht_addresses: _Optional[int] = ..., lines: _Optional[int] = ...) -> None: ...

class ProbeContactRequest(_message.Message):
    __slots__ = ("contact",)
    CONTACT_FIELD_NUMBER: _ClassVar[int]
    contact: str
    def __init__(self, contact: _Optional[str] = ...) -> None: ...

class ProbeContactResponse(_message.Message):
    __slots__ = ("source", "target", "reached", "reason", "took")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    REACHED_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    TOOK_FIELD_NUMBER: _ClassVar[int]
    source: WaySource
    target: str
    reached: bool
    reason: str
    took: _duration_pb2.Duration
    def __init__(self, source: _Optional[_Union[WaySource, str]] = ..., target: _Optional[str] = ..., reached: bool = ..., reason: _Optional[str] = ..., took: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ...) -> None: ...
