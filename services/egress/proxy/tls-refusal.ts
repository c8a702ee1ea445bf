import { Refusal } from "../policy/refusal.ts";

/** The refusal of a TLS connection whose beginning is not as the proxy demands. */
export function refuseServerName(reason: string): Refusal {
  return new Refusal(403, "sni_refused", `Airlock refused the connection: ${reason}`);
}
