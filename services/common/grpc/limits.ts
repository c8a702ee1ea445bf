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

/** Bytes of the largest piece in which documents and output are sent over a stream. */
export const MAX_CHUNK_BYTES = MIB;

allowPingsWhileDraining();
letGoOfSentMessages();

/**
 * Channel options of clients and servers: message limits, and pings that notice a frozen or vanished peer.
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

/** Callers on a network spread their calls over all replicas behind a name. */
export const NETWORK_CLIENT_OPTIONS = {
  "grpc.service_config": JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] }),
  "grpc.service_config_disable_resolution": 1,
  // The default, 30 s, would hide a new replica for longer than connections live (10 s).
  "grpc.dns_min_time_between_resolutions_ms": 3_000,
} as const;
