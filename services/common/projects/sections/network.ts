import { IP_RANGE_FORM, parseIpRange } from "../../ip-range.ts";
import { allows, describeAllowedHost, type ProjectNetwork, parseAllowedHost } from "../network.ts";
import type { LimitsDocument } from "./limits.ts";
import { type SecretsDocument, secretsSection } from "./secrets.ts";
import { type DocumentOf, section } from "./section.ts";

const properties = {
  network_allowlist: {
    type: "array",
    items: {
      type: "string",
      pattern: "^(\\*\\.)?[A-Za-z0-9.-]+(:[0-9]{1,5})?$",
      $comment: "host, *.suffix or host:port, without https:// and without a path",
    },
    maxItems: 200,
  },
  allow_private: { type: "array", items: { type: "string", minLength: 1 }, maxItems: 200 },
} as const;

type NetworkDocument = DocumentOf<typeof properties>;

/**
 * The hosts that scripts may reach, which the egress service enforces: those of `network_allowlist`, and the
 * hosts of brokered secrets, which need no entry in that list. `limits.network_mb` bounds the bytes of a run.
 */
export const networkSection = section({
  properties,
  problems: ({ network_allowlist = [], allow_private = [] }: NetworkDocument) => [
    ...network_allowlist.flatMap((text, index) =>
      parseAllowedHost(text)
        ? []
        : { field: `network_allowlist.${index}`, message: "must be host, *.suffix or host:port" },
    ),
    ...allow_private.flatMap((text, index) =>
      parseIpRange(text) ? [] : { field: `allow_private.${index}`, message: `must be ${IP_RANGE_FORM}` },
    ),
  ],
  read: (
    document: NetworkDocument & SecretsDocument & LimitsDocument,
  ): { readonly network: ProjectNetwork } => {
    const listed = (document.network_allowlist ?? []).flatMap((text) => parseAllowedHost(text) ?? []);
    const injected = secretsSection
      .read(document)
      .secrets.flatMap(({ inject }) => inject ?? [])
      .filter(({ host, port }) => !allows(listed, host, port))
      .map(({ host, port }) => ({ host, wildcard: false, port }));
    const unique = new Map([...listed, ...injected].map((entry) => [describeAllowedHost(entry), entry]));
    return {
      network: {
        allowlist: [...unique.values()],
        allowPrivate: document.allow_private ?? [],
        maxBytes: (document.limits?.network_mb ?? 100) * 1024 * 1024,
      },
    };
  },
  // A worker is told only whether its project has a network; the egress service reads the allowlist itself.
  revisions: ({ network }) => ({ provision: [network.allowlist.length > 0] }),
});
