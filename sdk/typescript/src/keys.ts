import type { components } from "../gen/openapi.ts";
import type { Call, Caller, CallOptions } from "./call.ts";
import { parseAnswer } from "./parse-answer.ts";

type Schemas = components["schemas"];
export type Me = Schemas["Me"];
export type Key = Schemas["Key"];
export type NewKey = Schemas["NewKey"];
export type KeyRequest = Schemas["KeyRequest"];

export type Keys = {
  /** Makes an API key. The answer is the only place that shows the whole key. */
  create(request: KeyRequest, options?: CallOptions): Promise<NewKey>;
  /** The keys that the client's principal made, newest first; an admin sees all. */
  list(options?: CallOptions): Promise<readonly Key[]>;
  /** Ends a key for good. */
  revoke(keyId: string, options?: CallOptions): Promise<void>;
};

export function createKeys(caller: Caller): Keys {
  return {
    // Sent only once, because a second attempt after a lost answer would find the name taken.
    create: (request, options) =>
      send<NewKey>(
        caller,
        { method: "POST", path: "/keys", body: JSON.stringify(request), isRepeatable: false },
        options,
      ),
    async list(options) {
      const call = { method: "GET", path: "/keys", isRepeatable: true } as const;
      return (await send<Schemas["KeyList"]>(caller, call, options)).keys;
    },
    async revoke(keyId, options = {}) {
      const path = `/keys/${encodeURIComponent(keyId)}`;
      await caller.send({ method: "DELETE", path, isRepeatable: true }, options);
    },
  };
}

/** Who the client is to Airlock, and what it may do. */
export function getMe(caller: Caller, options?: CallOptions): Promise<Me> {
  return send<Me>(caller, { method: "GET", path: "/me", isRepeatable: true }, options);
}

async function send<T>(caller: Caller, call: Call, options: CallOptions = {}): Promise<T> {
  return parseAnswer<T>(await caller.send(call, options), caller.url);
}
