import { STATUS_BY_END_REASON } from "#common/execution-names.ts";
import { MAX_BODY_BYTES } from "#common/submission/limits.ts";
import type { Project } from "#proto/pool_manager.ts";

const MIB = 1024 * 1024;
const KEY_NEEDED = `
Each request carries the API key that you were given: \`Authorization: Bearer KEY\`. The examples have it in the variable
AIRLOCK_KEY. Keep it out of scripts, results and texts. GET /me says what it allows and what is left of its requests.
`;

/**
 * The Markdown page that teaches an agent to use this instance. `projects` are the projects that accept
 * executions. `needsKey`: whether each request must carry an API key.
 */
export function skillPage(baseUrl: string, projects: readonly Project[], needsKey = false): string {
  const key = needsKey ? ` -H "authorization: Bearer $AIRLOCK_KEY"` : "";
  const example = projects[0]?.name ?? "PROJECT";
  return `---
name: airlock
description: Run Python next to authenticated systems through ${baseUrl}. Use it when a task needs data behind credentials that you do not have.
---

# Airlock

You send Python; Airlock runs it next to the credentials and gives back what it printed and its result, with
secrets redacted. Let the script compute every number and read the numbers from its result.

## Projects

${projects.length > 0 ? projects.map(describeProject).join("\n") : "No project is set up yet. Ask the operator for one."}

## Run a script
${needsKey ? KEY_NEEDED : ""}
\`\`\`sh
curl -s ${baseUrl}/execute${key} -H 'content-type: application/json' -d '{"project": "${example}", "code": "set_result({\\"answer\\": 6 * 7})"}'
# 202 {"execution_id":"…","status":"pending","poll_url":"/executions/…"}
curl -s '${baseUrl}/executions/EXECUTION_ID?wait=20'${key}
\`\`\`

Most scripts are short: \`POST /execute?wait=20\` answers with 200 and the whole execution when it has ended or asks you something
within that time, and otherwise with 202 as above; then poll.

Fields of POST /execute: \`project\` and \`code\` (required), \`timeout\` (seconds of running; default 60, or the project's limit if
that is less), \`settings\` ({"NAME": "text"}, in place of the project's own; one that has the name
of a secret is not used), \`memory\`
({"category": {"key": value}}). No other field is accepted, and a body of more than ${MAX_BODY_BYTES / MIB} MiB is refused.

When an answer was lost, send the same request again: with a header \`Idempotency-Key: ANY-NEW-UUID\` on the first and on
every repetition, the script runs once. Another body needs another key, and so does the same one that is to run once more.

Poll with \`wait=20\` (up to 60): the answer comes as soon as the status is neither \`pending\` nor \`running\`, or the time is
over. New output does not end the wait; each answer has all output so far. Your HTTP client's own time-out must be longer than
\`wait\`; that of many is five seconds.

| status | what to do |
|---|---|
| \`pending\` | poll again; \`waiting_on\` says what it waits for, such as packages that are being installed |
| \`running\` | poll again |
| \`awaiting_llm\` | answer \`llm_request.prompt\`, then poll again |
| \`completed\` | read \`result\`, \`stdout\`, \`memory_updates\` |
| \`error\`, \`timeout\` | read \`end_reason\`, \`error\`, \`stderr\`; correct the script and submit it again, with a new \`Idempotency-Key\` |

\`\`\`sh
curl -s ${baseUrl}/executions/EXECUTION_ID/respond${key} -H 'content-type: application/json' -d '{"response": "YOUR TEXT", "llm_request_id": "ID"}'
curl -s -X POST ${baseUrl}/executions/EXECUTION_ID/cancel${key}
\`\`\`

\`respond?wait=20\` answers with what came of it, as a poll does: one call for each llm request.

## In the script

Nothing to import:

\`\`\`python
settings.get("NAME")                 # a setting or secret as text, or None; settings.get("NAME", "default")
settings.keys()
memory.get("category", "key")        # what the request carried, or None; memory.get("category", "key", default)
memory.set("category", "key", value) # comes back in memory_updates when the script completes
memory.keys("category")              # memory.keys(): the categories; memory.delete("category", "key") comes back as null
text = llm.complete("Summarise: …")  # pauses; you answer with respond; a prompt has up to 1 MiB
set_result({"total": total})         # any JSON value; the last call wins
\`\`\`

- A pause does not count as running. An llm request without a response within the time that stands beside its project ends the script
  as \`llm_timeout\`.
- Python is 3.11 or newer: the version stands beside each project that has a worker. GET /projects/NAME has all that can be imported
  (\`installed_packages\`) and all limits.
- A secret's value never leaves: it is redacted wherever it stands in the output. Use it, do not print it.
- Numbers in \`result\` and \`memory\` keep every digit. NaN and infinities are not JSON: replace them, or write each NaN as null
  with \`set_result(df, nan=None)\`.
- Your own JSON parser may lose digits: in JavaScript 9223372036854775809 becomes 9223372036854776000. Add \`result=text\` to the query of
  GET /executions/EXECUTION_ID or of POST /execute, and \`result\` is a string that holds the exact JSON text.
- DataFrames, dates, Decimals, UUIDs and numpy values can be given to set_result as they are. A DataFrame is an array of row objects; a Series
  is an object of label: value. An integer index without a name is left out (such a Series is an array), any other index is always there.
- The same code and data give the same output: hash seed, time zone and locale are fixed, and so are Python's and numpy's random generators, also
  those made without a seed (but not in a Python that the script starts anew). \`os.urandom\`, \`secrets\`, \`uuid4\`, \`random.SystemRandom\` and \`random()\` in SQL
  differ in each run.
- \`truncated\` says how many bytes of stdout and stderr were cut.
- A script reaches the hosts that stand beside its project above, at ports 443 and 80 unless one is named, and nothing
  else: not by other hosts' addresses, and it has no DNS. The proxy in \`HTTP_PROXY\` and \`HTTPS_PROXY\` is the only way;
  urllib, requests, httpx and curl take it by themselves. A 403 from it says what is allowed: do not try other ways.
- A secret that is called a placeholder above is none in the script: send \`settings.get("NAME")\` as that header to that
  host, and the proxy puts the secret there. Anywhere else the request is refused. \`settings.describe("NAME")\` tells.

## How it ended

\`end_reason\` is one of:

${endReasonLines()}

## Errors

Every refusal is \`application/problem+json\`: branch on \`code\`, do what \`detail\` says. Where there is a header
\`Retry-After\` (429, most 503), wait so many seconds and send the same request again; a POST /execute that was answered with
503 or 504 may have been accepted, so give it an \`Idempotency-Key\`. All routes: ${baseUrl}/openapi.json
`;
}

function describeProject(project: Project): string {
  const { name, description, packages, programs, secretNames, limits, network } = project;
  const settings = project.settingKeys.filter((key) => !secretNames.includes(key));
  const hosts = network?.allowlist ?? [];
  const python = project.isolationFacts.find((fact) => fact.name === "python")?.values[0];
  const facts = [
    ...(python ? [`Python ${python}`] : []),
    `packages: ${packages.join(", ") || "the standard library only"}`,
    `programs: ${programs.join(", ") || "none"}`,
    ...(settings.length > 0 ? [`settings: ${settings.join(", ")}`] : []),
    ...(secretNames.length > 0 ? [`secrets: ${secretNames.join(", ")}`] : []),
    ...(limits
      ? [
          `timeout up to ${limits.timeoutMs / 1_000} s, answers to llm.complete within ${limits.llmTimeoutMs / 1_000} s, result up to ${limits.maxResultBytes / MIB} MiB, memory of a process up to ${limits.memoryBytes / MIB} MiB`,
        ]
      : []),
    hosts.length > 0 ? `network: ${hosts.join(", ")}` : "no network",
    ...(network?.injectedSecrets ?? []).map(
      (secret) => `${secret.name} is a placeholder for the header ${secret.header} to https://${secret.host}`,
    ),
  ];
  return `- **${name}**${description ? `: ${oneLine(description)}` : ""} (${facts.join("; ")})`;
}

// Puts the description on one line, because the operator's text must stay one item of the Markdown list.
function oneLine(text: string): string {
  return text.replace(/\s+/g, " ").trim();
}

function endReasonLines(): string {
  const byStatus = Map.groupBy(Object.entries(STATUS_BY_END_REASON), ([, status]) => status);
  return [...byStatus]
    .map(([status, reasons]) => `- ${status}: ${reasons.map(([reason]) => `\`${reason}\``).join(", ")}`)
    .join("\n");
}
