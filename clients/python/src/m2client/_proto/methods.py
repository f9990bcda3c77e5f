"""The methods of the API. Written by clients/python/generate.py."""

from typing import Final

from .._method import BidiMethod, StreamMethod, UnaryMethod
from . import access_pb2, backup_pb2, contact_pb2, daemon_pb2, event_pb2, identity_pb2, invitation_pb2, line_pb2, mailbox_pb2, message_pb2, network_pb2, relay_pb2


class AccessService:
    """The methods of `m2.api.v1.AccessService`."""

    CreateToken: Final = UnaryMethod(
        "/m2.api.v1.AccessService/CreateToken",
        access_pb2.CreateTokenRequest,
        access_pb2.CreateTokenResponse,
    )
    ListTokens: Final = UnaryMethod(
        "/m2.api.v1.AccessService/ListTokens",
        access_pb2.ListTokensRequest,
        access_pb2.ListTokensResponse,
    )
    RevokeToken: Final = UnaryMethod(
        "/m2.api.v1.AccessService/RevokeToken",
        access_pb2.RevokeTokenRequest,
        access_pb2.RevokeTokenResponse,
    )
    ListTokenUses: Final = UnaryMethod(
        "/m2.api.v1.AccessService/ListTokenUses",
        access_pb2.ListTokenUsesRequest,
        access_pb2.ListTokenUsesResponse,
    )


class BackupService:
    """The methods of `m2.api.v1.BackupService`."""

    CreateBackup: Final = StreamMethod(
        "/m2.api.v1.BackupService/CreateBackup",
        backup_pb2.CreateBackupRequest,
        backup_pb2.CreateBackupResponse,
    )
    ReportBackup: Final = UnaryMethod(
        "/m2.api.v1.BackupService/ReportBackup",
        backup_pb2.ReportBackupRequest,
        backup_pb2.ReportBackupResponse,
    )


class NetworkService:
    """The methods of `m2.api.v1.NetworkService`."""

    Doctor: Final = UnaryMethod(
        "/m2.api.v1.NetworkService/Doctor",
        network_pb2.DoctorRequest,
        network_pb2.DoctorResponse,
    )
    GetNetworkStatus: Final = UnaryMethod(
        "/m2.api.v1.NetworkService/GetNetworkStatus",
        network_pb2.GetNetworkStatusRequest,
        network_pb2.GetNetworkStatusResponse,
    )
    ProbeContact: Final = StreamMethod(
        "/m2.api.v1.NetworkService/ProbeContact",
        network_pb2.ProbeContactRequest,
        network_pb2.ProbeContactResponse,
    )


class ContactService:
    """The methods of `m2.api.v1.ContactService`."""

    AddContact: Final = UnaryMethod(
        "/m2.api.v1.ContactService/AddContact",
        contact_pb2.AddContactRequest,
        contact_pb2.AddContactResponse,
    )
    ListContacts: Final = UnaryMethod(
        "/m2.api.v1.ContactService/ListContacts",
        contact_pb2.ListContactsRequest,
        contact_pb2.ListContactsResponse,
    )
    GetContact: Final = UnaryMethod(
        "/m2.api.v1.ContactService/GetContact",
        contact_pb2.GetContactRequest,
        contact_pb2.GetContactResponse,
    )
    RenameContact: Final = UnaryMethod(
        "/m2.api.v1.ContactService/RenameContact",
        contact_pb2.RenameContactRequest,
        contact_pb2.RenameContactResponse,
    )
    AcceptContact: Final = UnaryMethod(
        "/m2.api.v1.ContactService/AcceptContact",
        contact_pb2.AcceptContactRequest,
        contact_pb2.AcceptContactResponse,
    )
    DeclineContact: Final = UnaryMethod(
        "/m2.api.v1.ContactService/DeclineContact",
        contact_pb2.DeclineContactRequest,
        contact_pb2.DeclineContactResponse,
    )
    BlockContact: Final = UnaryMethod(
        "/m2.api.v1.ContactService/BlockContact",
        contact_pb2.BlockContactRequest,
        contact_pb2.BlockContactResponse,
    )
    RemoveContact: Final = UnaryMethod(
        "/m2.api.v1.ContactService/RemoveContact",
        contact_pb2.RemoveContactRequest,
        contact_pb2.RemoveContactResponse,
    )
    VerifyContact: Final = UnaryMethod(
        "/m2.api.v1.ContactService/VerifyContact",
        contact_pb2.VerifyContactRequest,
        contact_pb2.VerifyContactResponse,
    )
    SetContactPolicy: Final = UnaryMethod(
        "/m2.api.v1.ContactService/SetContactPolicy",
        contact_pb2.SetContactPolicyRequest,
        contact_pb2.SetContactPolicyResponse,
    )


class DaemonService:
    """The methods of `m2.api.v1.DaemonService`."""

    GetStatus: Final = UnaryMethod(
        "/m2.api.v1.DaemonService/GetStatus",
        daemon_pb2.GetStatusRequest,
        daemon_pb2.GetStatusResponse,
    )
    GetDiagnostics: Final = UnaryMethod(
        "/m2.api.v1.DaemonService/GetDiagnostics",
        daemon_pb2.GetDiagnosticsRequest,
        daemon_pb2.GetDiagnosticsResponse,
    )
    Unlock: Final = UnaryMethod(
        "/m2.api.v1.DaemonService/Unlock",
        daemon_pb2.UnlockRequest,
        daemon_pb2.UnlockResponse,
    )


class MessageService:
    """The methods of `m2.api.v1.MessageService`."""

    SendMessage: Final = UnaryMethod(
        "/m2.api.v1.MessageService/SendMessage",
        message_pb2.SendMessageRequest,
        message_pb2.SendMessageResponse,
    )
    SendMessages: Final = BidiMethod(
        "/m2.api.v1.MessageService/SendMessages",
        message_pb2.SendMessagesRequest,
        message_pb2.SendMessagesResponse,
    )
    GetMessage: Final = UnaryMethod(
        "/m2.api.v1.MessageService/GetMessage",
        message_pb2.GetMessageRequest,
        message_pb2.GetMessageResponse,
    )
    WatchMessage: Final = StreamMethod(
        "/m2.api.v1.MessageService/WatchMessage",
        message_pb2.WatchMessageRequest,
        message_pb2.WatchMessageResponse,
    )
    ListMessages: Final = UnaryMethod(
        "/m2.api.v1.MessageService/ListMessages",
        message_pb2.ListMessagesRequest,
        message_pb2.ListMessagesResponse,
    )
    SearchMessages: Final = UnaryMethod(
        "/m2.api.v1.MessageService/SearchMessages",
        message_pb2.SearchMessagesRequest,
        message_pb2.SearchMessagesResponse,
    )
    EditMessage: Final = UnaryMethod(
        "/m2.api.v1.MessageService/EditMessage",
        message_pb2.EditMessageRequest,
        message_pb2.EditMessageResponse,
    )
    RetractMessage: Final = UnaryMethod(
        "/m2.api.v1.MessageService/RetractMessage",
        message_pb2.RetractMessageRequest,
        message_pb2.RetractMessageResponse,
    )
    MarkRead: Final = UnaryMethod(
        "/m2.api.v1.MessageService/MarkRead",
        message_pb2.MarkReadRequest,
        message_pb2.MarkReadResponse,
    )
    React: Final = UnaryMethod(
        "/m2.api.v1.MessageService/React",
        message_pb2.ReactRequest,
        message_pb2.ReactResponse,
    )
    SetTyping: Final = UnaryMethod(
        "/m2.api.v1.MessageService/SetTyping",
        message_pb2.SetTypingRequest,
        message_pb2.SetTypingResponse,
    )


class EventService:
    """The methods of `m2.api.v1.EventService`."""

    Subscribe: Final = StreamMethod(
        "/m2.api.v1.EventService/Subscribe",
        event_pb2.SubscribeRequest,
        event_pb2.SubscribeResponse,
    )
    AcknowledgeEvents: Final = UnaryMethod(
        "/m2.api.v1.EventService/AcknowledgeEvents",
        event_pb2.AcknowledgeEventsRequest,
        event_pb2.AcknowledgeEventsResponse,
    )
    ListClients: Final = UnaryMethod(
        "/m2.api.v1.EventService/ListClients",
        event_pb2.ListClientsRequest,
        event_pb2.ListClientsResponse,
    )
    RemoveClient: Final = UnaryMethod(
        "/m2.api.v1.EventService/RemoveClient",
        event_pb2.RemoveClientRequest,
        event_pb2.RemoveClientResponse,
    )
    NackEvent: Final = UnaryMethod(
        "/m2.api.v1.EventService/NackEvent",
        event_pb2.NackEventRequest,
        event_pb2.NackEventResponse,
    )
    ListDeadLetters: Final = UnaryMethod(
        "/m2.api.v1.EventService/ListDeadLetters",
        event_pb2.ListDeadLettersRequest,
        event_pb2.ListDeadLettersResponse,
    )
    SettleDeadLetters: Final = UnaryMethod(
        "/m2.api.v1.EventService/SettleDeadLetters",
        event_pb2.SettleDeadLettersRequest,
        event_pb2.SettleDeadLettersResponse,
    )
    ReportClient: Final = UnaryMethod(
        "/m2.api.v1.EventService/ReportClient",
        event_pb2.ReportClientRequest,
        event_pb2.ReportClientResponse,
    )


class IdentityService:
    """The methods of `m2.api.v1.IdentityService`."""

    GetIdentity: Final = UnaryMethod(
        "/m2.api.v1.IdentityService/GetIdentity",
        identity_pb2.GetIdentityRequest,
        identity_pb2.GetIdentityResponse,
    )


class InvitationService:
    """The methods of `m2.api.v1.InvitationService`."""

    CreateInvitation: Final = UnaryMethod(
        "/m2.api.v1.InvitationService/CreateInvitation",
        invitation_pb2.CreateInvitationRequest,
        invitation_pb2.CreateInvitationResponse,
    )
    ListInvitations: Final = UnaryMethod(
        "/m2.api.v1.InvitationService/ListInvitations",
        invitation_pb2.ListInvitationsRequest,
        invitation_pb2.ListInvitationsResponse,
    )
    RevokeInvitation: Final = UnaryMethod(
        "/m2.api.v1.InvitationService/RevokeInvitation",
        invitation_pb2.RevokeInvitationRequest,
        invitation_pb2.RevokeInvitationResponse,
    )


class LineService:
    """The methods of `m2.api.v1.LineService`."""

    AddLine: Final = UnaryMethod(
        "/m2.api.v1.LineService/AddLine",
        line_pb2.AddLineRequest,
        line_pb2.AddLineResponse,
    )
    ListLines: Final = UnaryMethod(
        "/m2.api.v1.LineService/ListLines",
        line_pb2.ListLinesRequest,
        line_pb2.ListLinesResponse,
    )
    RemoveLine: Final = UnaryMethod(
        "/m2.api.v1.LineService/RemoveLine",
        line_pb2.RemoveLineRequest,
        line_pb2.RemoveLineResponse,
    )


class MailboxService:
    """The methods of `m2.api.v1.MailboxService`."""

    RegisterMailbox: Final = UnaryMethod(
        "/m2.api.v1.MailboxService/RegisterMailbox",
        mailbox_pb2.RegisterMailboxRequest,
        mailbox_pb2.RegisterMailboxResponse,
    )
    ListMailboxes: Final = UnaryMethod(
        "/m2.api.v1.MailboxService/ListMailboxes",
        mailbox_pb2.ListMailboxesRequest,
        mailbox_pb2.ListMailboxesResponse,
    )
    RemoveMailbox: Final = UnaryMethod(
        "/m2.api.v1.MailboxService/RemoveMailbox",
        mailbox_pb2.RemoveMailboxRequest,
        mailbox_pb2.RemoveMailboxResponse,
    )
    RekeyMailbox: Final = UnaryMethod(
        "/m2.api.v1.MailboxService/RekeyMailbox",
        mailbox_pb2.RekeyMailboxRequest,
        mailbox_pb2.RekeyMailboxResponse,
    )
    CollectMailboxes: Final = UnaryMethod(
        "/m2.api.v1.MailboxService/CollectMailboxes",
        mailbox_pb2.CollectMailboxesRequest,
        mailbox_pb2.CollectMailboxesResponse,
    )


class RelayService:
    """The methods of `m2.api.v1.RelayService`."""

    GetRelayStatus: Final = UnaryMethod(
        "/m2.api.v1.RelayService/GetRelayStatus",
        relay_pb2.GetRelayStatusRequest,
        relay_pb2.GetRelayStatusResponse,
    )
