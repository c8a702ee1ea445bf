import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { ReadExecutionResponse, RouterServiceService } from "#proto/router.ts";
import { readSubmit } from "../read-submit.ts";

// One writer is used for all messages, because a new writer per message copies each piece five times and leaves the
// memory to the garbage collector.
const writer = new BinaryWriter();

function serialize(message: ReadExecutionResponse): Buffer {
  const { buffer, byteOffset, byteLength } = ReadExecutionResponse.encode(message, writer).finish();
  return Buffer.from(buffer, byteOffset, byteLength);
}

/** RouterService with cheaper serialization of large executions, and with a bound on the size of submissions. */
export const ROUTER_SERVICE: typeof RouterServiceService = {
  ...RouterServiceService,
  submit: { ...RouterServiceService.submit, requestDeserialize: readSubmit },
  readExecution: { ...RouterServiceService.readExecution, responseSerialize: serialize },
};
