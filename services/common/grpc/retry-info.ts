import { BinaryWriter } from "@bufbuild/protobuf/wire";
import type { StatusObject } from "@grpc/grpc-js";

/**
 * The name of the trailer of gRPC's richer error model. Its value is a google.rpc.Status in protobuf, which
 * gRPC libraries of every language can read.
 */
export const DETAILS_KEY = "grpc-status-details-bin";

const RETRY_INFO = "type.googleapis.com/google.rpc.RetryInfo";

/**
 * Encodes a status as a google.rpc.Status that also says how many seconds to wait before the same call is
 * sent again.
 */
export function withRetryInfo(
  { code, details }: Pick<StatusObject, "code" | "details">,
  seconds: number,
): Buffer {
  // RetryInfo {Duration retry_delay = 1 {int64 seconds = 1}}, in an Any {type_url = 1, value = 2}, in a
  // Status {code = 1, message = 2, details = 3}. Encoded by hand, because three small messages are not worth
  // a dependency on Google's package.
  const retryInfo = new BinaryWriter()
    .uint32(field(1))
    .fork()
    .uint32(1 << 3)
    .int64(seconds)
    .join()
    .finish();
  const any = new BinaryWriter()
    .uint32(field(1))
    .string(RETRY_INFO)
    .uint32(field(2))
    .bytes(retryInfo)
    .finish();
  const status = new BinaryWriter().uint32(1 << 3).int32(code);
  return Buffer.from(status.uint32(field(2)).string(details).uint32(field(3)).bytes(any).finish());
}

/** The protobuf tag of a length-delimited field: text, bytes or a message. */
function field(number: number): number {
  return (number << 3) | 2;
}
