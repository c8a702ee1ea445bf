import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { ReadExecutionResponse, RouterServiceService } from "#proto/router.ts";
import { readSubmit } from "../read-submit.ts";

// One protobuf writer serializes the ReadExecution messages of all calls, because a new writer per message
// copies each piece five times and leaves the memory to the garbage collector.
const writer = new BinaryWriter();

function serialize(message: ReadExecutionResponse): Buffer {
  const { buffer, byteOffset, byteLength } = ReadExecutionResponse.encode(message, writer).finish();
  return Buffer.from(buffer, byteOffset, byteLength);
}

/**
 * RouterService with two functions of its own: one serializes the pieces of large executions with fewer
 * copies, the other refuses to decode submissions with too many settings.
 */
export const ROUTER_SERVICE: typeof RouterServiceService = {
  ...RouterServiceService,
  submit: { ...RouterServiceService.submit, requestDeserialize: readSubmit },
  readExecution: { ...RouterServiceService.readExecution, responseSerialize: serialize },
};
