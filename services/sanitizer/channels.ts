import { SanitizeChannel } from "#proto/sanitizer.ts";

/** How the documents of a channel are redacted: as they stream by, or as JSON when they are complete. */
export type DocumentKind = "text" | "json";

/** The kind of every channel; undefined for numbers that name none. */
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
