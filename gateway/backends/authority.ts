import type { Principal } from "#common/identity/principal.ts";
import type {
  CreateGrantRequest,
  CreateKeyRequest,
  CreateKeyResponse,
  Grant,
  Key,
  PrincipalStatus,
} from "#proto/authority.ts";
import type { BackendCall, BackendChange, Passes } from "./call.ts";

/** Who shows a credential, and how long that holds. */
export type Authenticated = {
  readonly principal: Principal;
  /** Epoch milliseconds at which the credential ends; undefined: never. */
  readonly expiresAtMs: number | undefined;
  /** The authority's version of changes for which this holds. */
  readonly version: number;
  /** The changes a minute that the key itself allows; undefined: as many as the role. */
  readonly rate?: number | undefined;
  /** For the services that the gateway calls over a network; undefined when it calls none so. */
  readonly passes?: Passes | undefined;
};

/** Requests that are added to a counter. */
export type Count = {
  /** Names the principal or the address, and what is counted of it. */
  readonly counter: string;
  /** Negative: that many are taken back; 0: the counter is only read. */
  readonly requests: number;
  /** Milliseconds that the counter lasts from its first request on. */
  readonly windowMs: number;
  /** All requests that this gateway has counted in the counter, with these. */
  readonly own: number;
  /** The least that the counter stood at before, and the milliseconds until it ends, by what this gateway knows. */
  readonly known: { readonly requests: number; readonly endsInMs: number };
};

/** What a counter stands at, with the requests that were added. */
export type Counted = { readonly requests: number; readonly endsInMs: number };
/** A session for a browser. `id` is what the browser shows. */
export type NewSession = Pick<Authenticated, "principal" | "expiresAtMs"> & { readonly id: string };

/** The answer about several counters. */
export type CountAnswer = {
  /** What each counter stands at, in the order of the question. */
  readonly counts: readonly Counted[];
  /** How many gateways count in this store at present; undefined: the store does not know. */
  readonly gateways?: number;
};

/** The calls that the gateway makes to the authority. Every call rejects with an AirlockError. */
export type AuthorityBackend = {
  /**
   * Says who shows the credential, in `tenant`, or in the only tenant of its grants when that is undefined. The
   * credential is empty where clients need none. Rejects with `unauthenticated` when it proves nothing, with `no_grant` and `tenant_required`, and with
   * `issuer_unavailable` when a token cannot be checked.
   */
  authenticate(credential: string, tenant: string | undefined): Promise<Authenticated>;
  /**
   * Yields the authority's version of changes at once, at each change, and every half second. Ends or throws
   * when the authority stops or cannot be reached.
   */
  watchChanges(signal: AbortSignal): AsyncIterable<number>;
  /** Adds requests to the counters that all gateways share. */
  countRequests(counts: readonly Count[]): Promise<CountAnswer>;
  /** Makes a session that stands for an API key. */
  createSession(key: string, call: BackendChange): Promise<NewSession>;
  /** Begins the login of a person; resolves to the URL to send the browser to, and what only it may keep. */
  beginLogin(redirectUri: string): Promise<{ readonly url: string; readonly secrets: string }>;
  /** Ends a login with a session; resolves to its id. Rejects with `login_failed` and `no_grant`. */
  finishLogin(redirectUri: string, secrets: string, query: string): Promise<string>;
  /** Ends a session. Nothing happens when it has ended before. */
  endSession(id: string, call: BackendChange): Promise<void>;
  createKey(request: CreateKeyRequest, call: BackendChange): Promise<CreateKeyResponse>;
  listKeys(call: BackendCall): Promise<Key[]>;
  revokeKey(keyId: string, call: BackendChange): Promise<void>;
  createGrant(request: CreateGrantRequest, call: BackendChange): Promise<Grant>;
  listGrants(call: BackendCall): Promise<Grant[]>;
  deleteGrant(grantId: string, call: BackendChange): Promise<void>;
  listPrincipals(call: BackendCall): Promise<PrincipalStatus[]>;
  updatePrincipal(id: string, disabled: boolean, call: BackendChange): Promise<PrincipalStatus>;
};
