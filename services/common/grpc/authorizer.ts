import {
  type Metadata,
  ServerInterceptingCall,
  type ServerInterceptor,
  type ServerListener,
  ServerListenerBuilder,
} from "@grpc/grpc-js";
import { AirlockError } from "../errors.ts";
import { mayCall } from "../identity/authorization.ts";
import type { ServiceIdentity } from "../identity/identity.ts";
import { callerOf } from "./caller.ts";
import { toGrpcStatus } from "./errors.ts";
import type { PassCheck } from "./pass-check.ts";
import { passIn, rememberPassed } from "./principal.ts";

const REFUSED = "The caller's identity may not make this call.";

/**
 * Passes a call to its handler only when the identity in the caller's certificate may make this call, and when
 * the pass that a service presents is valid. `passes` is undefined in a service that no principal reaches. A
 * caller whose certificate TLS cannot verify gets no connection, so its calls never reach this interceptor.
 */
export function authorizeCalls(passes: PassCheck | undefined): ServerInterceptor {
  return ({ path }, call) => {
    const refuse = (error: unknown) => call.sendStatus(toGrpcStatus(error));
    const caller = callerOf(call.getAuthContext());
    if (caller === undefined || caller.kind === "local" || !mayCall(caller, path)) {
      return listening(call, () => refuse(new AirlockError("permission_denied", REFUSED)));
    }
    // Without a check of passes, and without a pass, the handler refuses what needs one (principalOf).
    if (caller.kind === "client" || !passes) return new ServerInterceptingCall(call);
    return listening(call, (metadata, next) => {
      try {
        const checked = check(metadata, caller.name, passes);
        // No promise for a pass that is known, because that costs each call a turn of the event loop.
        if (!(checked instanceof Promise)) {
          if (checked) rememberPassed(metadata, checked.principal);
          return next(metadata);
        }
        checked.then((passed) => {
          rememberPassed(metadata, passed.principal);
          next(metadata);
        }, refuse);
      } catch (error) {
        refuse(error);
      }
    });
  };
}

function check(metadata: Metadata, presenter: ServiceIdentity, passes: PassCheck) {
  const text = passIn(metadata);
  return text === undefined ? undefined : passes.check(text, presenter);
}

function listening(
  call: ConstructorParameters<typeof ServerInterceptingCall>[0],
  onMetadata: (metadata: Metadata, next: (metadata: Metadata) => void) => void,
): ServerInterceptingCall {
  const listener = new ServerListenerBuilder().withOnReceiveMetadata(onMetadata).build() as ServerListener;
  return new ServerInterceptingCall(call, { start: (next) => next(listener) });
}
