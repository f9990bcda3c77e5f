//! Sizes that both sides of the API keep.

/// The largest content of one message, in bytes (spec §6).
pub const MAX_CONTENT_BYTES: usize = 48 * 1024;

/// The longest media type, in bytes.
pub const MAX_MEDIA_TYPE_BYTES: usize = 127;

/// The longest idempotency key, in bytes.
pub const MAX_IDEMPOTENCY_KEY_BYTES: usize = 128;

/// The longest name of a front-end in `Subscribe`, in bytes.
pub const MAX_CLIENT_NAME_BYTES: usize = 64;

/// The header of `Subscribe`'s response that holds the cursor after which the stream starts.
pub const CURSOR_HEADER: &str = "m2-cursor";

/// The most messages that one call lists.
pub const MAX_LIST: u32 = 1_000;

/// How many messages a call lists when it does not say.
pub const DEFAULT_LIST: u32 = 50;

/// The largest request that the daemon decodes, in bytes. Far above [`MAX_CONTENT_BYTES`], so
/// that a content that is too large gets `MESSAGE_TOO_LARGE` and not a transport error.
pub const MAX_REQUEST_BYTES: usize = 1024 * 1024;

/// The largest response that a client decodes, in bytes: [`MAX_LIST`] messages of
/// [`MAX_CONTENT_BYTES`] with what belongs to them.
pub const MAX_RESPONSE_BYTES: usize = 64 * 1024 * 1024;
