import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { ReadExecutionResponse, RouterServiceService } from "#proto/router.ts";
import { readSubmit } from "../read-submit.ts";

// It keeps its memory. With a new one for each message each piece is copied five times, and its memory is for the garbage collector.
const writer = new BinaryWriter();

function serialize(message: ReadExecutionResponse): Buffer {
  const { buffer, byteOffset, byteLength } = ReadExecutionResponse.encode(message, writer).finish();
  return Buffer.from(buffer, byteOffset, byteLength);
}

/** RouterService, whose large executions cost less on their way, and whose submissions are bounded before they are read. */
export const ROUTER_SERVICE: typeof RouterServiceService = {
  ...RouterServiceService,
  submit: { ...RouterServiceService.submit, requestDeserialize: readSubmit },
  readExecution: { ...RouterServiceService.readExecution, responseSerialize: serialize },
};
