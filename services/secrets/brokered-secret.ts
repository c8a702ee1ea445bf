import type { Injection } from "#common/projects/sections/injection.ts";
import { Secret } from "#common/secret.ts";

/**
 * A secret whose value no script may hold. Scripts hold a placeholder, and the egress service puts the value
 * into their requests.
 */
export class BrokeredSecret extends Secret {
  /** The one host and the one header in which the egress service may send the value. */
  readonly injection: Injection;

  constructor(name: string, value: string, injection: Injection) {
    super(name, value);
    this.injection = injection;
  }
}

export function isBrokered(secret: Secret): secret is BrokeredSecret {
  return secret instanceof BrokeredSecret;
}
