const MIB = 1024 * 1024;

/** The largest message any edge takes. A result and two outputs at their highest limits fit into one execution. */
export const MAX_MESSAGE_BYTES = 128 * MIB;

/** Documents and output cross streams in pieces of at most this size. */
export const MAX_CHUNK_BYTES = MIB;

/** Channel options of both ends: message limits, and pings that notice a peer that froze or vanished. */
export const CHANNEL_OPTIONS = {
  "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
  "grpc.max_send_message_length": MAX_MESSAGE_BYTES,
  "grpc.keepalive_time_ms": 20_000,
  "grpc.keepalive_timeout_ms": 10_000,
} as const;
