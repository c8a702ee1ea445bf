/** A secret of one kind, and what of it must not be readable anywhere. */
export type SpelledSecret = {
  readonly kind: string;
  readonly value: string;
  /** Pieces that are secret by themselves, which ordinary code takes out of the value. */
  readonly parts?: readonly string[];
  /** Runs of characters of which no reader may see more than 12 in a row; the value itself where it is left out. */
  readonly telling?: readonly string[];
  /** The bytes that a key stands for. */
  readonly means?: Buffer;
};

const KEY_LINES = [
  "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj",
  "MzEfYyjiWA4R4/M2bS1GB4t7NXp98C3SC6dVMvDuictGeurT8jNbvJZHtCSuYEvu",
  "NMoSfm76oqFvAp8Gy0iz5sxjZmSnXyCdPEovGhLa0VzMaQ8s+CLOyS56YyCFGeJZ",
] as const;

const PEM = `-----BEGIN PRIVATE KEY-----\n${KEY_LINES.join("\n")}\n-----END PRIVATE KEY-----\n`;
const KEY_ID = "8d3f0b7a6c5e4d2f1a9b8c7d6e5f4a3b2c1d0e9f";

const TOKEN_PAYLOAD = "eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6Ik5vYm9keSIsImlhdCI6MTUxNjIzOTAyMn0";
const TOKEN_SIGNATURE = "SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c";

const LONG_TOKEN = "ghx_".padEnd(108, "7Hq2Lw9Zr4Vt1Xk6Bn3Mp8Jd5Fs0Gc2Ya7Ue4Io9Pl6");

/** Values without a meaning, one or two of each kind of secret that people keep. */
export const SPELLED_SECRETS: readonly SpelledSecret[] = [
  { kind: "opaque token", value: "sk_live-4eC39HqLyjWDarjtT1zdp7dcQ8Vb" },
  {
    kind: "token of one case",
    value: "xq7w2m9z4k8v3b6n1p5t0r7y2u9h4g8d",
    means: Buffer.from("xq7w2m9z4k8v3b6n1p5t0r7y2u9h4g8d", "base64"),
  },
  {
    kind: "base64 key",
    value: "q83vEjRWeJCr+e8SNFZ4kKvN7/+SNFZ4kKs/v7+/AQ==",
    means: Buffer.from("q83vEjRWeJCr+e8SNFZ4kKvN7/+SNFZ4kKs/v7+/AQ==", "base64"),
  },
  {
    kind: "base64url key",
    value: "Zm9_vQ-3kP7xW2_tR8yN-5uH1gD6sL0aJ4cB9eF3iM8",
    means: Buffer.from("Zm9_vQ-3kP7xW2_tR8yN-5uH1gD6sL0aJ4cB9eF3iM8", "base64url"),
  },
  {
    kind: "hexadecimal key",
    value: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    means: Buffer.from("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "hex"),
  },
  {
    kind: "UUID",
    value: "3f2b8c1d-9e4a-4d7c-8b5f-6a1e0d9c2b7e",
    means: Buffer.from("3f2b8c1d9e4a4d7c8b5f6a1e0d9c2b7e", "hex"),
  },
  { kind: "quotes and signs", value: `pa"ss\\w'rd&<x>=1/y+z%7` },
  { kind: "letters beyond ASCII", value: `gé"heim\\nis-😀'ß ün` },
  { kind: "long passphrase with signs", value: `Tr0ub4dor&3 "correct" <horse> 'battery' staple \\o/ é` },
  {
    kind: "service account in JSON",
    value: JSON.stringify({
      type: "service_account",
      private_key_id: KEY_ID,
      private_key: PEM,
      client_email: "robot@things-42.example.com",
    }),
    parts: [PEM, KEY_ID],
    telling: [...KEY_LINES, KEY_ID],
  },
  {
    kind: "connection URL",
    value: "postgres://svc_app7:pW9%2Fx7Qz%40kL2v@db.internal:5432/main?sslmode=require",
    parts: ["pW9%2Fx7Qz%40kL2v", "pW9/x7Qz@kL2v"],
    telling: ["pW9%2Fx7Qz%40kL2v", "pW9/x7Qz@kL2v"],
  },
  { kind: "PEM", value: PEM, parts: [PEM.trim(), ...KEY_LINES], telling: KEY_LINES },
  {
    kind: "lines of KEY=value",
    value: 'API_KEY=kY8sD2fG5hJ1lQ4wE7rT0\nDB_PASSWORD="m3N6b9V2c5X8"\nDEBUG=true\n',
    parts: ["kY8sD2fG5hJ1lQ4wE7rT0", "m3N6b9V2c5X8"],
    telling: ["kY8sD2fG5hJ1lQ4wE7rT0", "m3N6b9V2c5X8"],
  },
  {
    kind: "YAML",
    value: "db:\n  user: app\n  password: 'uJ7yH4tG1rF8'\ntoken: zX3cV6bN9mA2sD5fG8hJ1k\n",
    parts: ["uJ7yH4tG1rF8", "zX3cV6bN9mA2sD5fG8hJ1k"],
    telling: ["uJ7yH4tG1rF8", "zX3cV6bN9mA2sD5fG8hJ1k"],
  },
  {
    kind: "Bearer",
    value: "Bearer 9vB2nM5kL8jH1gF4dS7aQ0wE3rT6",
    parts: ["9vB2nM5kL8jH1gF4dS7aQ0wE3rT6"],
    telling: ["9vB2nM5kL8jH1gF4dS7aQ0wE3rT6"],
  },
  {
    kind: "JSON Web Token",
    value: `eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.${TOKEN_PAYLOAD}.${TOKEN_SIGNATURE}`,
    telling: [TOKEN_PAYLOAD, TOKEN_SIGNATURE],
  },
  { kind: "long token", value: LONG_TOKEN, means: Buffer.from(LONG_TOKEN, "base64url") },
  { kind: "short password", value: "hJ4#kq9z" },
  { kind: "short password with signs", value: `a"7\\&é'` },
  { kind: "word", value: "postgres" },
  { kind: "number of 14 digits", value: "48151623421088" },
  { kind: "number of 21 digits", value: "314159265358979323846" },
  { kind: "number with leading zeros", value: "0073529461" },
];
