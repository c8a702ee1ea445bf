import { describeAllowedHost, type ProjectNetwork } from "#common/projects/network.ts";

/** The outcome of an attempt to reach the network, for counters and logs. */
export type Verdict =
  | "allowed"
  | "unauthenticated"
  | "malformed"
  | "not_listed"
  | "address_refused"
  | "sni_refused"
  | "placeholder_misplaced"
  | "over_limit"
  | "unchecked_response"
  | "unreachable";

/**
 * The reason why the proxy refuses a request of a script. The message is ASCII in one line and may be shown
 * to the script.
 */
export class Refusal extends Error {
  /** The HTTP status of the response to the script. */
  readonly status: number;
  /** The outcome of the attempt, for counters and logs. */
  readonly verdict: Verdict;

  constructor(status: number, verdict: Verdict, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "Refusal";
    this.status = status;
    this.verdict = verdict;
  }
}

// The most allowlist entries in a message, because clients cut off long status lines.
const SHOWN_ENTRIES = 20;

export function notListed(project: string, network: ProjectNetwork, host: string, port: number): Refusal {
  const entries = network.allowlist.map(describeAllowedHost);
  const shown = entries.slice(0, SHOWN_ENTRIES).join(", ");
  const more = entries.length > SHOWN_ENTRIES ? ` and ${entries.length - SHOWN_ENTRIES} more` : "";
  return new Refusal(
    403,
    "not_listed",
    `Airlock refused ${host}:${port}: it is not in the network_allowlist of project ${project}, which allows ${shown}${more}`,
  );
}

export function malformed(what: string): Refusal {
  return new Refusal(400, "malformed", `Airlock refused a malformed request: ${what}`);
}

// Error codes of Node's TLS for a certificate that no trusted authority has issued. CERT_SIGNATURE_FAILURE is
// in the list because an authority that was made anew has the name of the trusted one and another key.
const UNKNOWN_AUTHORITY: ReadonlySet<string> = new Set([
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "CERT_SIGNATURE_FAILURE",
]);

/**
 * Converts a thrown value to a Refusal. The text of an error that is not meant for scripts is left out: the
 * message says only that the proxy could not reach `host`, with the error's code.
 */
export function asRefusal(error: unknown, host: string, port: number): Refusal {
  if (error instanceof Refusal) return error;
  const reason = error instanceof Error ? ((error as NodeJS.ErrnoException).code ?? error.name) : "unknown";
  const why = UNKNOWN_AUTHORITY.has(reason)
    ? `: no authority that Airlock trusts has issued its certificate; the operator adds the authority with AIRLOCK_EGRESS_EXTRA_CA (${reason})`
    : ` (${reason})`;
  return new Refusal(502, "unreachable", `Airlock could not reach ${host}:${port}${why}`, { cause: error });
}
