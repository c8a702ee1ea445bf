import { MAX_BODY_BYTES } from "../submission/limits.ts";
import { allowPingsWhileDraining } from "./ping-while-draining.ts";
import { letGoOfSentMessages } from "./sent-messages.ts";

const MIB = 1024 * 1024;

/**
 * Bytes of the largest message between two services. An execution whose result and both outputs have the
 * largest size allowed fits into one message.
 */
export const MAX_MESSAGE_BYTES = 128 * MIB;

/**
 * Bytes of the largest request that a service accepts. The largest is a submission: a full HTTP body, and up
 * to 1 MiB for the names of its fields.
 */
export const MAX_REQUEST_BYTES = MAX_BODY_BYTES + MIB;

/**
 * Bytes of the largest message in which router and sanitizer send a piece of a script's output, or of a JSON
 * document such as its result.
 */
export const MAX_CHUNK_BYTES = MIB;

allowPingsWhileDraining();
letGoOfSentMessages();

/**
 * Channel options of clients and servers: the message limits, and a ping every 20 s on each connection that
 * has open calls. When a ping has no answer after 10 s, because the other process is frozen or its machine
 * has vanished, the connection is closed and its calls fail.
 */
export const CHANNEL_OPTIONS = {
  "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
  "grpc.max_send_message_length": MAX_MESSAGE_BYTES,
  "grpc.keepalive_time_ms": 20_000,
  "grpc.keepalive_timeout_ms": 10_000,
} as const;

/**
 * A server on a network closes each connection after 10 s, once the calls on it have ended, so that its
 * callers look up the server's name again and find added replicas.
 */
export const NETWORK_SERVER_OPTIONS = { "grpc.max_connection_age_ms": 10_000 } as const;

/**
 * Channel options of a client on a network: its calls are spread over all replicas behind the server's name.
 */
export const NETWORK_CLIENT_OPTIONS = {
  "grpc.service_config": JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] }),
  "grpc.service_config_disable_resolution": 1,
  // Milliseconds between two DNS look-ups of the server's name. With grpc-js's default, 30 s, a client would
  // find a new replica much later than its connections are renewed (every 10 s).
  "grpc.dns_min_time_between_resolutions_ms": 3_000,
} as const;
