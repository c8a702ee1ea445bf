import { status } from "@grpc/grpc-js";

/** Why a message could not be handed over, as the status that ends its call. */
export type Refusal = { readonly code: status; readonly details: string };

/**
 * The message as its receiver gets it: a copy, so that neither side can change what the other one has. Throws when the
 * message does not fit its type. Returns a Refusal when it has more than `maxBytes` bytes in protobuf.
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
