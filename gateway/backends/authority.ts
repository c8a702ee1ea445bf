import type { Principal } from "#common/identity/principal.ts";
import type { CreateKeyRequest, CreateKeyResponse, Key, PrincipalStatus } from "#proto/authority.ts";
import type { BackendCall, BackendChange } from "./call.ts";

/** Who shows a credential, and how long that holds. */
export type Authenticated = {
  readonly principal: Principal;
  /** Epoch milliseconds at which the credential ends; undefined: never. */
  readonly expiresAtMs: number | undefined;
  /** The authority's version of changes for which this holds. */
  readonly version: number;
};

/** The calls that the gateway makes to the authority. Every call rejects with an AirlockError. */
export type AuthorityBackend = {
  /** Rejects with `unauthenticated` when the credential proves nothing. */
  authenticate(credential: string): Promise<Authenticated>;
  /**
   * Yields the authority's version of changes at once, at each change, and every half second. Ends or throws
   * when the authority stops or cannot be reached.
   */
  watchChanges(signal: AbortSignal): AsyncIterable<number>;
  createKey(request: CreateKeyRequest, call: BackendChange): Promise<CreateKeyResponse>;
  listKeys(call: BackendCall): Promise<Key[]>;
  revokeKey(keyId: string, call: BackendChange): Promise<void>;
  listPrincipals(call: BackendCall): Promise<PrincipalStatus[]>;
  updatePrincipal(id: string, disabled: boolean, call: BackendChange): Promise<PrincipalStatus>;
};
