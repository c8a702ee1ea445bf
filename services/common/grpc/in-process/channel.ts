import { type CallInvocationTransformer, Channel, connectivityState } from "@grpc/grpc-js";
import { InProcessCall } from "./call.ts";
import { hostedMethod, isHosted } from "./host.ts";

/**
 * A channel to a Unix socket. A call whose server runs in this process is handed over to it without the socket; every
 * other call goes through the socket.
 */
export class UnixChannel extends Channel {
  /** Whether the calls of this method are handed over within the process. */
  handsOver(path: string): boolean {
    return hostedMethod(this.getTarget(), path) !== undefined && !this.#isClosed();
  }

  override getConnectivityState(tryToConnect: boolean): connectivityState {
    return isHosted(this.getTarget()) && !this.#isClosed()
      ? connectivityState.READY
      : super.getConnectivityState(tryToConnect);
  }

  override createCall(...args: Parameters<Channel["createCall"]>): ReturnType<Channel["createCall"]> {
    const [path, deadline] = args;
    const method = hostedMethod(this.getTarget(), path);
    return method && !this.#isClosed()
      ? new InProcessCall(method, this.getTarget(), deadline)
      : super.createCall(...args);
  }

  #isClosed(): boolean {
    return super.getConnectivityState(false) === connectivityState.SHUTDOWN;
  }
}

const asItIs = (message: unknown) => message as Buffer;

/** Lets messages of calls that are handed over within the process reach their channel without being serialised. */
export const withoutSerialising: CallInvocationTransformer = (call) => {
  const { channel, methodDefinition } = call;
  if (!(channel instanceof UnixChannel && channel.handsOver(methodDefinition.path))) return call;
  return {
    ...call,
    methodDefinition: { ...methodDefinition, requestSerialize: asItIs, responseDeserialize: asItIs },
  };
};
