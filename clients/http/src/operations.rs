//! What the OpenAPI document says of each path.

/// An operation of the gateway.
#[derive(Debug)]
pub(crate) struct Operation {
    /// The method in lower case, as in OpenAPI.
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    /// What it does, in a sentence.
    pub(crate) summary: &'static str,
    /// The scope that the token needs; empty if the request needs no token.
    pub(crate) scope: &'static str,
    /// The parameters of the query: name, values, description.
    pub(crate) query: &'static [(&'static str, Values, &'static str)],
    /// The message of the request's JSON body; empty for none.
    pub(crate) request: &'static str,
    /// The message of the JSON response.
    pub(crate) response: &'static str,
    pub(crate) status: u16,
}

/// The values of a parameter.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Values {
    Text,
    /// Any number of texts, each in a parameter of its own.
    Texts,
    /// Whole numbers from the first to the second.
    Numbers(u64, u64),
    OneOf(&'static [&'static str]),
}

use Values::{Numbers, OneOf, Text, Texts};

/// The operations, in the order of the document.
pub(crate) const OPERATIONS: &[Operation] = &[
    Operation {
        method: "post",
        path: "/v1/contacts/{contact}/messages",
        summary: "Send a message. A body that is not JSON is the text itself, or data if its type is not a text type.",
        scope: "send",
        query: &[(
            "text",
            Texts,
            "JSON pointers to texts in the body, which may then have any form: `/title` and `/message` send both, one below the other.",
        )],
        request: "SendMessageRequest",
        response: "SendMessageResponse",
        status: 202,
    },
    Operation {
        method: "get",
        path: "/v1/contacts/{contact}/messages",
        summary: "List a conversation, newest message first.",
        scope: "history",
        query: PAGE,
        request: "",
        response: "ListMessagesResponse",
        status: 200,
    },
    Operation {
        method: "get",
        path: "/v1/contacts",
        summary: "List contacts.",
        scope: "any",
        query: &[("after", Text, "The `next` of the previous page.")],
        request: "",
        response: "ListContactsResponse",
        status: 200,
    },
    Operation {
        method: "get",
        path: "/v1/contacts/{contact}",
        summary: "Show a contact.",
        scope: "any",
        query: &[],
        request: "",
        response: "Contact",
        status: 200,
    },
    Operation {
        method: "get",
        path: "/v1/messages",
        summary: "Search messages by their words, newest first.",
        scope: "history",
        query: &[
            ("text", Text, "The words."),
            (
                "contact",
                Text,
                "The contact in whose conversation to search; all if absent.",
            ),
            (
                "limit",
                Numbers(0, 1_000),
                "The most messages; 50 if 0 or absent.",
            ),
            ("before", Text, "The `next` of the previous page."),
        ],
        request: "",
        response: "SearchMessagesResponse",
        status: 200,
    },
    Operation {
        method: "get",
        path: "/v1/messages/{id}",
        summary: "Show a message.",
        scope: "history",
        query: &[],
        request: "",
        response: "Message",
        status: 200,
    },
    Operation {
        method: "put",
        path: "/v1/messages/{id}",
        summary: "Replace the text of a message that this side sent.",
        scope: "send",
        query: &[],
        request: "EditMessageRequest",
        response: "EditMessageResponse",
        status: 200,
    },
    Operation {
        method: "delete",
        path: "/v1/messages/{id}",
        summary: "Delete a message that this side sent, on both sides.",
        scope: "send",
        query: &[],
        request: "",
        response: "RetractMessageResponse",
        status: 200,
    },
    Operation {
        method: "put",
        path: "/v1/messages/{id}/reaction",
        summary: "React to a message; an empty text removes the reaction.",
        scope: "send",
        query: &[],
        request: "ReactRequest",
        response: "ReactResponse",
        status: 200,
    },
    Operation {
        method: "post",
        path: "/v1/messages/read",
        summary: "Mark messages as read.",
        scope: "send",
        query: &[],
        request: "MarkReadRequest",
        response: "MarkReadResponse",
        status: 200,
    },
    Operation {
        method: "get",
        path: "/v1/events",
        summary: "Wait for events. With `Accept: text/event-stream`, a stream of server-sent events.",
        scope: "events",
        query: &[
            (
                "client",
                Text,
                "The name under which the daemon keeps the position.",
            ),
            ("after", Text, "The cursor after which to start."),
            (
                "from",
                OneOf(&["", "start", "now"]),
                "`start`: with the oldest event that is kept; `now`: with the next one. Empty: as if absent.",
            ),
            (
                "limit",
                Numbers(1, 1_000),
                "The most events, 1 to 1,000; 100 if absent.",
            ),
            (
                "wait",
                Numbers(0, 60),
                "The most seconds to wait for an event, 0 to 60; 25 if absent.",
            ),
        ],
        request: "",
        response: "Events",
        status: 200,
    },
    Operation {
        method: "post",
        path: "/v1/events/acknowledge",
        summary: "Move the position of a client name forward.",
        scope: "events",
        query: &[],
        request: "AcknowledgeEventsRequest",
        response: "AcknowledgeEventsResponse",
        status: 200,
    },
    Operation {
        method: "get",
        path: "/v1/status",
        summary: "Show the daemon's state, counters and warnings.",
        scope: "status",
        query: &[],
        request: "",
        response: "GetStatusResponse",
        status: 200,
    },
    Operation {
        method: "get",
        path: "/metrics",
        summary: "Show the daemon's state and counters in the text format of Prometheus.",
        scope: "status",
        query: &[],
        request: "",
        response: "Metrics",
        status: 200,
    },
    Operation {
        method: "get",
        path: "/v1/health",
        summary: "Tell whether the daemon serves, and how many webhooks fail. Needs no token.",
        scope: "",
        query: &[],
        request: "",
        response: "Health",
        status: 200,
    },
    Operation {
        method: "get",
        path: "/v1/openapi.json",
        summary: "This document. Needs no token.",
        scope: "",
        query: &[],
        request: "",
        response: "Document",
        status: 200,
    },
];

const PAGE: &[(&str, Values, &str)] = &[
    (
        "limit",
        Numbers(0, 1_000),
        "The most messages; 50 if 0 or absent.",
    ),
    ("before", Text, "The `next` of the previous page."),
];
