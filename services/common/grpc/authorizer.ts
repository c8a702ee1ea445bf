import {
  ServerInterceptingCall,
  type ServerInterceptor,
  type ServerListener,
  ServerListenerBuilder,
} from "@grpc/grpc-js";
import { AirlockError } from "../errors.ts";
import { mayCall } from "../identity/authorization.ts";
import { type Identity, identityOfCertificate } from "../identity/identity.ts";
import { toGrpcStatus } from "./errors.ts";

const REFUSED = "This identity may not make this call.";

/**
 * Lets a call through to its handler only when the certificate that the caller proved to own may make it. What TLS does
 * not verify never gets here.
 */
export const authorizeCalls: ServerInterceptor = ({ path }, call) => {
  const certificate = call.getAuthContext().sslPeerCertificate?.raw;
  const caller: Identity | undefined = certificate && identityOfCertificate(certificate);
  if (caller !== undefined && mayCall(caller, path)) return new ServerInterceptingCall(call);
  const refuse: ServerListener = new ServerListenerBuilder()
    .withOnReceiveMetadata(() =>
      call.sendStatus(toGrpcStatus(new AirlockError("permission_denied", REFUSED))),
    )
    .build() as ServerListener;
  return new ServerInterceptingCall(call, { start: (next) => next(refuse) });
};
