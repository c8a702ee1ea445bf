import { RetryingCall } from "@grpc/grpc-js/build/src/retrying-call.js";

let isDone = false;

/**
 * Changes grpc-js so that a client call frees the memory of each message as soon as the message is sent.
 * Without the change a call keeps its last message until it sends another one, because grpc-js frees sent
 * messages before it marks the newest one as sent. The router's call of a paused run would keep the run's
 * whole submission in memory, perhaps for days.
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
