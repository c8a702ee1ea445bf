import { MAX_BODY_BYTES } from "../submission/limits.ts";
import { allowPingsWhileDraining } from "./ping-while-draining.ts";
import { letGoOfSentMessages } from "./sent-messages.ts";

const MIB = 1024 * 1024;

/** The largest message any edge takes. A result and two outputs at their highest limits fit into one execution. */
export const MAX_MESSAGE_BYTES = 128 * MIB;

/**
 * The largest message that a service takes from a caller. A client's request, which the router takes, is the largest; a little
 * is for the names of its fields.
 */
export const MAX_REQUEST_BYTES = MAX_BODY_BYTES + MIB;

/** Documents and output cross streams in pieces of at most this size. */
export const MAX_CHUNK_BYTES = MIB;

allowPingsWhileDraining();
letGoOfSentMessages();

/** Channel options of both ends: message limits, and pings that notice a peer that froze or vanished. */
export const CHANNEL_OPTIONS = {
  "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
  "grpc.max_send_message_length": MAX_MESSAGE_BYTES,
  "grpc.keepalive_time_ms": 20_000,
  "grpc.keepalive_timeout_ms": 10_000,
} as const;

/**
 * Servers on a network let go of each connection after this time, once the calls on it have ended: callers then look up
 * the name again, and find replicas that were added.
 */
export const NETWORK_SERVER_OPTIONS = { "grpc.max_connection_age_ms": 10_000 } as const;

/** Callers on a network spread their calls over all replicas behind a name. */
export const NETWORK_CLIENT_OPTIONS = {
  "grpc.service_config": JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] }),
  "grpc.service_config_disable_resolution": 1,
  // The default, 30 s, would hide a new replica for longer than connections live.
  "grpc.dns_min_time_between_resolutions_ms": 3_000,
} as const;
