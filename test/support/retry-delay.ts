import { join } from "node:path";
import type { ServiceError } from "@grpc/grpc-js";
import { loadSync, type ServiceDefinition } from "@grpc/proto-loader";

const RETRY_INFO = "type.googleapis.com/google.rpc.RetryInfo";
const reader = loadSync(join(import.meta.dirname, "google-rpc.proto"), { longs: Number, defaults: true })[
  "google.rpc.Reader"
] as ServiceDefinition;

type Status = {
  readonly code: number;
  readonly message: string;
  readonly details: readonly { readonly type_url: string; readonly value: Buffer }[];
};

type RetryInfo = { readonly retryDelay: { readonly seconds: number; readonly nanos: number } };

/**
 * Seconds until the call may be sent again, read from the error as gRPC clients do; undefined when the error does not
 * say.
 */
export function retryDelayOf(error: ServiceError): number | undefined {
  const [bytes] = error.metadata.get("grpc-status-details-bin");
  if (bytes === undefined) return undefined;
  const { code, message, details } = read<Status>("ReadStatus", bytes as Buffer);
  // Clients ignore details with another code or message than the error.
  if (code !== error.code || message !== error.details) throw new Error("the details are of another status");
  const found = details.find((each) => each.type_url === RETRY_INFO);
  if (!found) return undefined;
  const { retryDelay } = read<RetryInfo>("ReadRetryInfo", found.value);
  return retryDelay.seconds + retryDelay.nanos / 1e9;
}

function read<T>(method: string, bytes: Buffer): T {
  const known = reader[method];
  if (!known) throw new Error(`there is no ${method}`);
  return known.responseDeserialize(bytes) as T;
}
