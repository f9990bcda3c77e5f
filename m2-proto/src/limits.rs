//! Limits of the API, shared by daemon and front-ends.

/// Maximum content of one message, in bytes (docs/spec/delivery.md#payload).
pub const MAX_CONTENT_BYTES: usize = 48 * 1024;

/// Maximum length of a media type, in bytes.
pub const MAX_MEDIA_TYPE_BYTES: usize = 127;

/// Maximum length of an idempotency key, in bytes.
pub const MAX_IDEMPOTENCY_KEY_BYTES: usize = 128;

/// Maximum length of a front-end's name in `Subscribe`, in bytes.
pub const MAX_CLIENT_NAME_BYTES: usize = 64;

/// The response header of `Subscribe` that holds the cursor after which the stream starts.
pub const CURSOR_HEADER: &str = "m2-cursor";

/// Maximum number of messages in one page.
pub const MAX_LIST: u32 = 1_000;

/// Number of messages in one page if the request does not say.
pub const DEFAULT_LIST: u32 = 50;

/// Maximum size of a request that the daemon decodes, in bytes. Far above [`MAX_CONTENT_BYTES`], so
/// that oversized content fails with `MESSAGE_TOO_LARGE` instead of a transport error.
pub const MAX_REQUEST_BYTES: usize = 1024 * 1024;

/// Maximum size of a response that a client decodes, in bytes: more than [`MAX_LIST`] messages of
/// [`MAX_CONTENT_BYTES`] take.
pub const MAX_RESPONSE_BYTES: usize = 64 * 1024 * 1024;
