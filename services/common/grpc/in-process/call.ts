import { type Channel, type Deadline, Metadata, type StatusObject, status } from "@grpc/grpc-js";
import type {
  InterceptingListener,
  MessageContext,
  PartialStatusObject,
} from "@grpc/grpc-js/build/src/call-interface.js";
import { PerRequestMetricRecorder } from "@grpc/grpc-js/build/src/orca.js";
import type { ServerInterceptingCallInterface as ServerCall } from "@grpc/grpc-js/build/src/server-interceptors.js";
import { systemClock } from "../../resilience/clock.ts";
import { MAX_MESSAGE_BYTES, MAX_REQUEST_BYTES } from "../limits.ts";
import { handOver } from "./hand-over.ts";
import type { HostedMethod } from "./host.ts";
import { Lane } from "./lane.ts";
import { type Served, serve } from "./serve.ts";

type ClientCall = ReturnType<Channel["createCall"]>;

/**
 * One gRPC call whose client and server are in the same process, so that no socket is needed. grpc-js's
 * client calls the methods of `ClientCall`, the handler those of `ServerCall`. Deadline, cancellation,
 * limits, statuses and flow control are those of a call over a socket.
 */
export class InProcessCall implements ClientCall {
  readonly #method: HostedMethod;
  readonly #address: string;
  readonly #deadlineMs: number;
  readonly #requests: Lane;
  readonly #responses: Lane;
  #listener: InterceptingListener | undefined;
  #served: Served | undefined;
  /** Stops the timer of the deadline; undefined when the call has no deadline. */
  #stopTimer: (() => void) | undefined;
  #hasMetadata = false;
  /**
   * The final gRPC status that the handler of the call gave; undefined until then. The client gets this
   * status after it has read all response messages.
   */
  #answered: StatusObject | undefined;
  #isOver = false;

  constructor(method: HostedMethod, address: string, deadline: Deadline) {
    this.#method = method;
    this.#address = address;
    this.#deadlineMs = Number(deadline);
    this.#requests = new Lane({
      onMessage: (message) => this.#served?.onMessage(message),
      onEnd: () => this.#served?.onEnd(),
    });
    this.#responses = new Lane({
      onMessage: (message) => this.#listener?.onReceiveMessage(message),
      onEnd: () => this.#finish(this.#answered as StatusObject),
    });
  }

  start(metadata: Metadata, listener: InterceptingListener): void {
    this.#listener = listener;
    this.#method.calls.add(this);
    const leftMs = this.#deadlineMs - Date.now();
    if (leftMs <= 0) {
      this.#expire();
      return;
    }
    if (leftMs < Number.POSITIVE_INFINITY) {
      this.#stopTimer = systemClock.after(leftMs, () => this.#expire());
    }
    this.#served = serve(this.#method, this.#serverCall(), metadata.clone());
  }

  sendMessageWithContext({ callback }: MessageContext, message: unknown): void {
    const { requestSerialize, requestDeserialize } = this.#method.definition;
    try {
      const sent = handOver(message, requestSerialize, requestDeserialize, MAX_REQUEST_BYTES);
      if ("copy" in sent) this.#requests.send(sent.copy, () => callback?.());
      else this.cancelWithStatus(sent.code, sent.details);
    } catch (error) {
      this.cancelWithStatus(status.INTERNAL, `Request message serialization failure: ${error}`);
    }
  }

  startRead(): void {
    this.#responses.want();
  }

  halfClose(): void {
    this.#requests.end();
  }

  cancelWithStatus(code: status, details: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#responses.close();
    this.#endServer();
    setImmediate(() => this.#tell({ code, details, metadata: new Metadata() }));
  }

  /**
   * Ends the call with CANCELLED, as a server does that is stopped by force. Called when the server is
   * stopped and the calls' time to finish is over.
   */
  breakOff(): void {
    this.cancelWithStatus(status.CANCELLED, "The server stopped.");
  }

  getPeer(): string {
    return this.#address;
  }

  getCallNumber(): number {
    return 0;
  }

  setCredentials(): void {}

  getAuthContext(): ReturnType<ServerCall["getAuthContext"]> {
    return {};
  }

  #expire(): void {
    this.cancelWithStatus(status.DEADLINE_EXCEEDED, "Deadline exceeded");
  }

  #finish(answer: StatusObject): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#tell(answer);
  }

  #tell(answer: StatusObject): void {
    this.#stopTimer?.();
    this.#method.calls.delete(this);
    this.#listener?.onReceiveStatus(answer);
  }

  /**
   * Ends the handler's half of the call: requests that the handler has not read are dropped, messages that it
   * still sends are ignored, and the handler is told that the call is over.
   */
  #endServer(): void {
    this.#requests.close();
    const served = this.#served;
    this.#served = undefined;
    if (served) process.nextTick(() => served.onOver());
  }

  #serverCall(): ServerCall {
    return {
      start: () => {},
      sendMetadata: (metadata) => this.#sendMetadata(metadata),
      sendMessage: (message, callback) => this.#respond(message, callback),
      sendStatus: (answer) => this.#answer(answer),
      startRead: () => this.#requests.want(),
      getPeer: () => this.#address,
      getDeadline: () => this.#deadlineMs,
      getHost: () => "localhost",
      getAuthContext: () => ({}),
      getConnectionInfo: () => ({}),
      getMetricsRecorder: () => new PerRequestMetricRecorder(),
    };
  }

  #sendMetadata(metadata: Metadata): void {
    if (this.#hasMetadata || this.#isOver) return;
    this.#hasMetadata = true;
    this.#listener?.onReceiveMetadata(metadata.clone());
  }

  #respond(message: unknown, callback: () => void): void {
    if (this.#isOver || this.#answered) return;
    const { responseSerialize, responseDeserialize } = this.#method.definition;
    try {
      const sent = handOver(message, responseSerialize, responseDeserialize, MAX_MESSAGE_BYTES);
      if ("copy" in sent) {
        this.#sendMetadata(new Metadata());
        this.#responses.send(sent.copy, callback);
      } else {
        this.#answer(sent);
      }
    } catch {
      this.#answer({ code: status.INTERNAL, details: "Error serializing response" });
    }
  }

  #answer({ code, details, metadata }: PartialStatusObject): void {
    if (this.#isOver || this.#answered) return;
    this.#answered = { code, details, metadata: metadata?.clone() ?? new Metadata() };
    this.#responses.end();
    this.#endServer();
  }
}
