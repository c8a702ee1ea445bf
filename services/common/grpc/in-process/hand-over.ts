import { status } from "@grpc/grpc-js";

/**
 * The reason why an in-process message is too large to be passed on, as the gRPC status that ends its call.
 */
export type Refusal = { readonly code: status; readonly details: string };

/**
 * Copies a message of an in-process call for its receiver, by writing and parsing protobuf, so that client
 * and handler cannot change each other's objects. Throws when the message does not fit its type. Returns a
 * Refusal when the message has more than `maxBytes` bytes in protobuf.
 */
export function handOver<Message>(
  message: Message,
  serialize: (message: Message) => Buffer,
  deserialize: (bytes: Buffer) => Message,
  maxBytes: number,
): { readonly copy: Message } | Refusal {
  const bytes = serialize(message);
  if (bytes.length <= maxBytes) return { copy: deserialize(bytes) };
  const details = `Received message larger than max (${bytes.length} vs ${maxBytes})`;
  return { code: status.RESOURCE_EXHAUSTED, details };
}
