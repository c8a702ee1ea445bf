import { handBack } from "../services/common/background-thread.ts";
import { atOnce } from "../services/common/turn.ts";
import { type OutlineTask, type OutlineTaskResult, outlineSteps } from "./json-outline.ts";

/** What the other thread does for `outlineBytes`. */
export default function outlineTask({ bytes, limits }: OutlineTask): OutlineTaskResult {
  return handBack(atOnce(outlineSteps(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), limits)));
}
