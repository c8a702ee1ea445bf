import { type CallInvocationTransformer, Channel, connectivityState } from "@grpc/grpc-js";
import { InProcessCall } from "./call.ts";
import { hostedMethod, isHosted } from "./host.ts";

/**
 * A grpc-js channel to a Unix socket. A call whose server runs in this process becomes an InProcessCall,
 * which needs no socket. Every other call goes through the socket.
 */
export class UnixChannel extends Channel {
  /** Whether calls of the RPC with this path go to a server in this process, without the socket. */
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

/**
 * A hook for grpc-js clients: messages of in-process calls reach the channel as objects and not as bytes,
 * because InProcessCall copies the objects itself. Calls over the socket are left as they are.
 */
export const withoutSerialising: CallInvocationTransformer = (call) => {
  const { channel, methodDefinition } = call;
  if (!(channel instanceof UnixChannel && channel.handsOver(methodDefinition.path))) return call;
  return {
    ...call,
    methodDefinition: { ...methodDefinition, requestSerialize: asItIs, responseDeserialize: asItIs },
  };
};
