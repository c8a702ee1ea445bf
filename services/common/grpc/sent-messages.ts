import { RetryingCall } from "@grpc/grpc-js/build/src/retrying-call.js";

let isDone = false;

/**
 * Lets calls forget a message once it is sent. grpc-js clears what was sent before it counts the message that is sent just now, so
 * that a call keeps its last one until there is another; of a paused run that is its whole submission, for days perhaps.
 */
export function letGoOfSentMessages(): void {
  if (isDone) return;
  isDone = true;
  const prototype = RetryingCall.prototype as unknown as {
    handleChildWriteCompleted(childIndex: number, messageIndex: number): void;
    clearSentMessages(): void;
  };
  const { handleChildWriteCompleted } = prototype;
  prototype.handleChildWriteCompleted = function (childIndex, messageIndex) {
    handleChildWriteCompleted.call(this, childIndex, messageIndex);
    this.clearSentMessages();
  };
}
