import { Ajv } from "ajv";
import { describe, expect, it } from "vitest";
import { isUsable } from "#common/projects/catalogue.ts";
import { parseProjectFile } from "#common/projects/file.ts";
import { PROJECT_SCHEMA } from "#common/projects/schema.ts";

function parse(text: string, fileName = "demo.yaml") {
  const entry = parseProjectFile(fileName, text);
  if (!isUsable(entry)) throw new Error(entry.problem);
  return entry;
}

function problem(text: string, fileName = "demo.yaml"): string {
  const entry = parseProjectFile(fileName, text);
  return isUsable(entry) ? "no problem" : entry.problem;
}

describe("a project file", () => {
  it("a project file has a valid JSON schema", () => {
    expect(() => new Ajv({ strict: true, allowUnionTypes: true }).compile(PROJECT_SCHEMA)).not.toThrow();
  });

  it("a project file needs only a name", () => {
    expect(parse("name: demo")).toMatchObject({
      name: "demo",
      packages: [],
      programs: ["sh", "coreutils"],
      replicas: 1,
      isolation: "standard",
      limits: { timeoutMs: 300_000, llmTimeoutMs: 900_000, queue: 1_000 },
    });
  });

  it("a project file names programs, and cannot name paths", () => {
    expect(parse("name: demo\nprograms: []").programs).toEqual([]);
    const listed = parse("name: demo\nprograms: [git, x86_64-linux-gnu-g++, python3.11]");
    expect(listed.programs).toEqual(["git", "x86_64-linux-gnu-g++", "python3.11"]);
    expect(listed.poolRevision).not.toBe(parse("name: demo").poolRevision);
    for (const name of ["/bin/sh", "../sh", "..", "a,b", "-c", "a b", ""])
      expect(problem(`name: demo\nprograms: [${JSON.stringify(name)}]`)).toContain(
        'demo.yaml:2: field "programs.0"',
      );
  });

  it("a project file has every limit in seconds and megabytes", () => {
    const { limits } = parse(
      "name: demo\nlimits: {timeout: 1.5, memory_mb: 64, max_output_mb: 0.5, max_result_mb: 2}",
    );
    expect(limits).toMatchObject({
      timeoutMs: 1_500,
      memoryBytes: 64 * 2 ** 20,
      maxOutputBytes: 2 ** 19,
      maxResultBytes: 2 ** 21,
    });
  });

  it("a project file lists secrets as values or as objects", () => {
    const { secrets } = parse(
      'name: demo\nsecrets:\n  A: "${env:A}"\n  B: "${file:b}"\n  C: "${vault:kv/a#b}"',
    );
    expect(secrets).toEqual([
      { name: "A", reference: "${env:A}" },
      { name: "B", reference: "${file:b}" },
      { name: "C", reference: "${vault:kv/a#b}" },
    ]);
  });

  it("a project file allows the hosts that it lists and the hosts of its brokered secrets", () => {
    const { network, secrets } = parse(
      'name: demo\nnetwork_allowlist: [API.Example, "*.w.example:8443"]\nallow_private: [10.1.2.3]\nlimits: {network_mb: 2}\n' +
        'secrets: {T: {value: "${env:T}", inject: {host: erp.example, header: Authorization, format: "Bearer {}"}}}',
    );
    expect(network).toEqual({
      allowlist: [
        { host: "api.example", wildcard: false, port: undefined },
        { host: "w.example", wildcard: true, port: 8443 },
        { host: "erp.example", wildcard: false, port: 443 },
      ],
      allowPrivate: ["10.1.2.3"],
      maxBytes: 2 * 2 ** 20,
    });
    expect(secrets).toEqual([
      {
        name: "T",
        reference: "${env:T}",
        inject: { host: "erp.example", port: 443, header: "authorization", format: "Bearer {}" },
      },
    ]);
  });

  it("a changed project file replaces its pool only for settings that a running worker cannot take over", () => {
    const before = parse("name: demo\nsettings: {A: one}");
    const setting = parse("name: demo\nsettings: {A: two}");
    const packages = parse("name: demo\npackages: [requests]\nsettings: {A: one}");
    const cpus = parse("name: demo\nsettings: {A: one}\nlimits: {cpus: 2}");
    for (const { poolRevision, provisionRevision } of [setting, cpus]) {
      expect(poolRevision).toBe(before.poolRevision);
      expect(provisionRevision).not.toBe(before.provisionRevision);
    }
    expect(packages.poolRevision).not.toBe(before.poolRevision);
    const output = parse("name: demo\nlimits: {max_output_mb: 1}\nsettings: {A: one}");
    expect(output.sizeRevision).toBe(before.sizeRevision);
    for (const limit of ["memory_mb: 100", "disk_mb: 100", "pids: 10", "cpus: 2"]) {
      const larger = parse(`name: demo\nlimits: {${limit}}\nsettings: {A: one}`);
      expect(larger.sizeRevision, limit).not.toBe(before.sizeRevision);
      expect(larger.poolRevision, limit).toBe(before.poolRevision);
    }
  });

  it("a project file limits what all executions store to 1,000 MB, or to what one may store and more", () => {
    expect(parse("name: demo").limits.storedBytes).toBe(1_000 * 2 ** 20);
    expect(parse("name: demo\nlimits: {stored_mb: 57}").limits.storedBytes).toBe(57 * 2 ** 20);
    const small = "name: demo\nlimits: {stored_mb: 19, max_output_mb: 0.5, max_result_mb: 0.5}";
    expect(parse(small).limits.storedBytes).toBe(19 * 2 ** 20);
  });

  it.each([
    ["name: other", 'demo.yaml:1: field "name" must be "demo", the name of the file without .yaml'],
    ["description: x", 'demo.yaml:1: field "name" is missing'],
    [
      "name: demo\nsecret: x",
      'demo.yaml:2: field "secret" is not a known field; the known fields are name, ',
    ],
    ["name: demo\nlimits:\n  timeout: soon", 'demo.yaml:3: field "limits.timeout" must be a number'],
    ["name: demo\nlimits:\n  memory: 5", 'demo.yaml:3: field "limits.memory" is not a known field'],
    ["name: demo\nlimits: {cpus: 0}", 'demo.yaml:2: field "limits.cpus" must be at least 0.01'],
    [
      "name: demo\nlimits: {max_output_mb: 33}",
      'demo.yaml:2: field "limits.max_output_mb" must be at most 32',
    ],
    [
      "name: demo\nlimits:\n  stored_mb: 56\n",
      'demo.yaml:3: field "limits.stored_mb" must be at least 57, because one execution may store that much',
    ],
    ["name: demo\nlimits: {stored_mb: 20, max_result_mb: 0.5}", "must be at least 38"],
    ["name: demo\nreplicas: 0", 'demo.yaml:2: field "replicas" has none of the allowed forms'],
    ["name: demo\nreplicas: {min: 3, max: 2}", 'demo.yaml:2: field "replicas.min" must not be more than'],
    ["name: demo\nisolation: none", 'demo.yaml:2: field "isolation" must be one of standard, strict, gvisor'],
    [
      'name: demo\npackages: ["--index-url=x"]',
      'demo.yaml:2: field "packages.0" must be one line that begins',
    ],
    [
      'name: demo\npackages: ["this is not pep508"]',
      'demo.yaml:2: field "packages.0" must be a package as PEP 508',
    ],
    [
      "name: demo\nsettings: {1A: x}",
      'demo.yaml:2: field "settings.1A" is not an allowed name; it must be letters, digits and _',
    ],
    ["name: Demo_1", 'demo.yaml:1: field "name" must be 1 to 63 of a-z, 0-9 and -'],
    [
      'name: demo\nnetwork_allowlist: ["https://a.example/"]',
      "must be host, *.suffix or host:port, without https://",
    ],
    ["name: demo\nlimits:\n\ttimeout: 1", "demo.yaml:3: not valid YAML: a tab stands in the indentation"],
    ["name: demo\nname: demo", "demo.yaml:2: not valid YAML: a field is given twice"],
    ["name: demo\nsettings: {A: 1}", 'demo.yaml:2: field "settings.A" must be a string'],
    [
      "name: demo\nsettings: {A: x}\nsecrets: {A: abcdef}",
      'demo.yaml:3: field "secrets.A" is also the name of a setting',
    ],
    ['name: demo\nsecrets: {A: {value: abcdef, inject: {host: "*.h", header: a}}}', "must be one host name"],
    ["name: demo\nsecrets: {A: {value: abcdef, inject: {host: h, header: Host}}}", "can carry a secret"],
    [
      "name: demo\nsecrets:\n  A:\n    value: abcdef\n",
      'demo.yaml:3: field "secrets.A" has none of the allowed forms: a text, or {value: text, inject: ',
    ],
    [
      "name: demo\nsecrets: {A: {value: abcdef, inject: {host: h, header: a, format: b}}}",
      "that contains {} exactly once",
    ],
    [
      'name: demo\nnetwork_allowlist: ["ok.example", "x.example:99999"]',
      'demo.yaml:2: field "network_allowlist.1" must be host',
    ],
    [
      'name: demo\nallow_private: ["10.0.0.0/8", "ten"]',
      'demo.yaml:2: field "allow_private.1" must be an IP',
    ],
    // Each of these was read as a range that its author cannot have meant, or means on one machine only.
    ...["10.5/16", "10.1", "010.0.0.1", "0x0a000001", "10.0.0.0/33", "10.0.0.0/08", "fe80::1%eth0"].map(
      (range): [string, string] => [
        `name: demo\nallow_private: ["${range}"]`,
        'demo.yaml:2: field "allow_private.0" must be an IP address or a CIDR range',
      ],
    ),
    ["name: demo\nlimits: {timeout: 0.0004}", 'field "limits.timeout" must be at least 0.001'],
    ["name: demo\nlimits: {llm_timeout: 0}", 'field "limits.llm_timeout" must be at least 0.001'],
    ["name: demo\nlimits: {max_output_mb: 1e-7}", 'field "limits.max_output_mb" must be at least 0.000001'],
    [
      'name: demo\nsettings: {A: "\\ud800x"}',
      'demo.yaml:2: field "settings.A" contains half of a surrogate pair',
    ],
    [
      'name: demo\ndescription: "\\ud800x"',
      'demo.yaml:2: field "description" contains half of a surrogate pair',
    ],
    ['name: demo\nsettings: {A: "x${env:B}"}', 'demo.yaml:2: field "settings.A" refers to a secret'],
    ["name: [", "demo.yaml:1: not valid YAML"],
    ["", "demo.yaml:1: the file must be an object"],
    ["- name", "demo.yaml:1: the file must be an object"],
  ])("a project file is refused with a sentence about the mistake in %j", (text, expected) => {
    expect(problem(text)).toContain(expected);
  });

  it.each(
    [
      "name: demo\nsecrets: {A: 'hunter2secret",
      "name: demo\nsecrets: {A: @hunter2secret}",
      'name: demo\nsecrets: {A: "hunter2\\qsecret"}',
      "name: demo\nsecrets: {A: *hunter2secret}",
      "name: demo\nsecrets: {A: !hunter2secret x}",
      "name: demo\nsecrets: {A: &a x, B: [*a, *hunter2secret]}",
      `name: demo\nsecrets: {A: &a hunter2secret, B: [${"*a, ".repeat(101)}]}`,
      "name: demo\nsecrets: hunter2secret: b: c",
      "name: demo\n%hunter2secret\n",
      "name: demo\n  A: hunter2secret",
      "name: demo\nA: hunter2secret\n---\nB: hunter2secret",
    ].map((text) => [text] as const),
  )("a project file's YAML error is explained in words and without a value: %j", (text) => {
    expect(problem(text)).toMatch(/^demo\.yaml:\d: not valid YAML: [a-z]/);
    expect(problem(text)).not.toMatch(/hunter2|[A-Z]+_[A-Z]/);
  });

  it.each(["PATH", "LD_PRELOAD", "HTTPS_PROXY", "no_proxy", "PYTHONPATH", "AIRLOCK_URL", "SSL_CERT_FILE"])(
    "a project file cannot name a secret %s",
    (name) => {
      expect(problem(`name: demo\nsecrets: {${name}: abcdef}`)).toContain(
        `demo.yaml:2: field "secrets.${name}" has the name of a variable that controls programs`,
      );
    },
  );

  it("a project file may name a secret almost like a variable that steers programs", () => {
    for (const name of ["LDAP_PASSWORD", "MY_PATH", "PROXY_KEY", "LC", "MY_HTTPS_PROXY", "TZ_KEY"])
      expect(problem(`name: demo\nsecrets: {${name}: abcdef}`)).toBe("no problem");
  });

  it.each([
    ["aliases", `description: &a x\npackages: [${"*a,".repeat(20_000)}*a]`],
    ["unknown fields", Array.from({ length: 7_000 }, (_, n) => `a${n}: 1`).join("\n")],
    ["fields twice", "a: 1\n".repeat(12_000)],
    ["settings", `settings:\n${Array.from({ length: 4_500 }, (_, n) => `  A${n}: 1\n`).join("")}`],
  ])(
    "a project file of the largest size is refused with its first mistake, in time in proportion: %s",
    (_of, text) => {
      const lines = problem(`name: demo\n${text}\n`).split("\n");
      expect(lines.length).toBeLessThanOrEqual(21);
      expect(lines[0]).toMatch(/^demo\.yaml:\d+: /);
    },
  );

  it("an error of a project file shows no regular expression", () => {
    const patterns = JSON.stringify(PROJECT_SCHEMA).match(/"pattern":/g) ?? [];
    const meanings =
      JSON.stringify(PROJECT_SCHEMA).match(
        /"pattern":"[^"]*(?:\\"[^"]*)*",(?:"maxLength":\d+,)?"\$comment":/g,
      ) ?? [];
    expect(patterns.length).toBeGreaterThan(5);
    expect(meanings).toHaveLength(patterns.length);
  });

  it("a project file reports every problem at once, and no value", () => {
    const told = problem("name: demo\nisolation: hunter2secret\nnetwork: hunter2secret");
    expect(told.split("\n")).toHaveLength(2);
    expect(told).not.toContain("hunter2secret");
  });

  it("a project with a broken file takes its name from the file's name", () => {
    expect(parseProjectFile("billing.yml", "name: [")).toMatchObject({ name: "billing" });
  });
});
