import {
  ServerInterceptingCall,
  type ServerInterceptor,
  type ServerListener,
  ServerListenerBuilder,
} from "@grpc/grpc-js";
import { AirlockError } from "../errors.ts";
import { mayCall } from "../identity/authorization.ts";
import { callerOf } from "./caller.ts";
import { toGrpcStatus } from "./errors.ts";

const REFUSED = "The caller's identity may not make this call.";

/**
 * Passes a call to its handler only when the identity in the caller's certificate may make this call. A
 * caller whose certificate TLS cannot verify gets no connection, so its calls never reach this interceptor.
 */
export const authorizeCalls: ServerInterceptor = ({ path }, call) => {
  const caller = callerOf(call.getAuthContext());
  if (caller !== undefined && caller.kind !== "local" && mayCall(caller, path))
    return new ServerInterceptingCall(call);
  const refuse: ServerListener = new ServerListenerBuilder()
    .withOnReceiveMetadata(() =>
      call.sendStatus(toGrpcStatus(new AirlockError("permission_denied", REFUSED))),
    )
    .build() as ServerListener;
  return new ServerInterceptingCall(call, { start: (next) => next(refuse) });
};
