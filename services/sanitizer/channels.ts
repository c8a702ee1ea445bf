import { SanitizeChannel } from "#proto/sanitizer.ts";

/**
 * The way in which an output channel is redacted: "text" piece by piece as it arrives, "json" as one document
 * when it is complete.
 */
export type DocumentKind = "text" | "json";

/** The kind of an output channel; undefined for an unknown channel number. */
export function kindOf(channel: SanitizeChannel): DocumentKind | undefined {
  switch (channel) {
    case SanitizeChannel.STDOUT:
    case SanitizeChannel.STDERR:
    case SanitizeChannel.ERROR:
    case SanitizeChannel.LLM_PROMPT:
    case SanitizeChannel.LLM_MODEL:
      return "text";
    case SanitizeChannel.RESULT:
    case SanitizeChannel.MEMORY_UPDATES:
      return "json";
    default:
      return undefined;
  }
}
