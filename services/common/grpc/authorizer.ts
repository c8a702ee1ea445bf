import {
  type Metadata,
  ServerInterceptingCall,
  type ServerInterceptor,
  type ServerListener,
  ServerListenerBuilder,
} from "@grpc/grpc-js";
import { AirlockError } from "../errors.ts";
import { mayCall, needsPermission } from "../identity/authorization.ts";
import type { ServiceIdentity } from "../identity/identity.ts";
import type { Principal } from "../identity/principal.ts";
import { callerOf } from "./caller.ts";
import type { ClientGrants } from "./client-grants.ts";
import { toGrpcStatus } from "./errors.ts";
import type { PassCheck } from "./pass-check.ts";
import { passIn, rememberPassed } from "./principal.ts";

// The gRPC metadata key in which a client of the operator names the tenant that it means.
const TENANT_KEY = "airlock-tenant";

// The form of a credential in a client's metadata; a longer one than 8,192 characters is neither a key nor a token.
const BEARER = /^Bearer +([\x21-\x7e]{1,8192})$/i;

const REFUSED = "The caller's identity may not make this call.";

/**
 * Passes a call to its handler only when the identity in the caller's certificate may make this call, and when
 * the pass that a service presents is valid, or when grants say what a client of the operator may do. `passes` and
 * `clients` are undefined in a service that no principal reaches. A
 * caller whose certificate TLS cannot verify gets no connection, so its calls never reach this interceptor.
 */
export function authorizeCalls(
  passes: PassCheck | undefined,
  clients: ClientGrants | undefined,
): ServerInterceptor {
  return ({ path }, call) => {
    const refuse = (error: unknown) => call.sendStatus(toGrpcStatus(error));
    const caller = callerOf(call.getAuthContext());
    if (caller === undefined || caller.kind === "local" || !mayCall(caller, path)) {
      return listening(call, () => refuse(new AirlockError("permission_denied", REFUSED)));
    }
    // Without a check of passes, and without a pass, the handler refuses what needs one (principalOf).
    const find =
      caller.kind === "client" ? finderOf(clients, caller.name, path) : checkerOf(passes, caller.name);
    if (!find) return new ServerInterceptingCall(call);
    return listening(call, (metadata, next) => {
      try {
        const found = find(metadata);
        // No promise for what is known, because that costs each call a turn of the event loop.
        if (!(found instanceof Promise)) {
          if (found) rememberPassed(metadata, found);
          return next(metadata);
        }
        found.then((principal) => {
          rememberPassed(metadata, principal);
          next(metadata);
        }, refuse);
      } catch (error) {
        refuse(error);
      }
    });
  };
}

/** Finds the principal of a call; undefined when the caller itself is the principal. */
type Find = (metadata: Metadata) => Principal | undefined | Promise<Principal>;

function checkerOf(passes: PassCheck | undefined, presenter: ServiceIdentity): Find | undefined {
  if (!passes) return undefined;
  return (metadata) => {
    const text = passIn(metadata);
    const passed = text === undefined ? undefined : passes.check(text, presenter);
    return passed instanceof Promise ? passed.then(({ principal }) => principal) : passed?.principal;
  };
}

/** Undefined for a call that needs no permission, because grants do not matter to it. */
function finderOf(clients: ClientGrants | undefined, name: string, path: string): Find | undefined {
  if (!clients || !needsPermission(path)) return undefined;
  return (metadata) =>
    clients.principalOf(name, { tenant: tenantIn(metadata), credential: credentialIn(metadata) });
}

/** The credential that a client shows besides its certificate. Throws `unauthenticated` for a malformed one. */
function credentialIn(metadata: Metadata): string | undefined {
  const sent = metadata.get("authorization");
  if (sent.length === 0) return undefined;
  const [, credential] = (sent.length === 1 && BEARER.exec(String(sent[0]))) || [];
  if (credential !== undefined) return credential;
  throw new AirlockError(
    "unauthenticated",
    'The metadata "authorization" must be one "Bearer KEY" with an API key of Airlock (alk_...) or a token.',
  );
}

function tenantIn(metadata: Metadata): string | undefined {
  const sent = metadata.get(TENANT_KEY);
  // Several are no tenant's name, so that the authority refuses them.
  return sent.length === 0 ? undefined : sent.map(String).join(",");
}

function listening(
  call: ConstructorParameters<typeof ServerInterceptingCall>[0],
  onMetadata: (metadata: Metadata, next: (metadata: Metadata) => void) => void,
): ServerInterceptingCall {
  const listener = new ServerListenerBuilder().withOnReceiveMetadata(onMetadata).build() as ServerListener;
  return new ServerInterceptingCall(call, { start: (next) => next(listener) });
}
