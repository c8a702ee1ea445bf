import type { Injection } from "#common/projects/sections/injection.ts";
import { Secret } from "#common/secret.ts";

/** A secret that no script may hold, because the egress service puts it into requests. */
export class BrokeredSecret extends Secret {
  readonly injection: Injection;

  constructor(name: string, value: string, injection: Injection) {
    super(name, value);
    this.injection = injection;
  }
}

export function isBrokered(secret: Secret): secret is BrokeredSecret {
  return secret instanceof BrokeredSecret;
}
