/** A text with a credential in it, in three parts, and how it is counted. */
export type Sample = {
  readonly rule: string;
  readonly before: string;
  readonly secret: string;
  readonly after: string;
};

const MIXED = "aB3dE5gH7jK9mN1pQ2rS4tU6vW8xY0z";
const LETTERS = "aBcDeFgHiJkLmNoPqRsTuVwXyZ";
const HEX = "0123456789abcdef";

export function body(length: number, alphabet = MIXED): string {
  return alphabet.repeat(Math.ceil(length / alphabet.length)).slice(0, length);
}

// Put together here, so that no file of the project holds anything that looks like a credential.
function token(rule: string, prefix: string, ...rest: string[]): Sample {
  return { rule, before: "", secret: prefix + rest.join(""), after: "" };
}

function inside(rule: string, before: string, secret: string, after: string): Sample {
  return { rule, before, secret, after };
}

function pem(kind: string, first: string, length: number, lineEnd = "\n"): Sample {
  const lines = (first + body(length - first.length)).match(/.{1,64}/g)?.join(lineEnd) ?? "";
  const begin = `-----BEGIN ${kind}PRIVATE KEY-----`;
  return inside("privatekey", begin, `${lineEnd}${lines}${lineEnd}`, `-----END ${kind}PRIVATE KEY-----`);
}

const onePassword = Buffer.from(JSON.stringify({ email: "a@b.example", secretKey: body(92) }));

/** A credential of every form that redaction searches for. */
export const SAMPLES: readonly Sample[] = [
  token("1password", "ops_", onePassword.toString("base64")),
  token("airlock", "alk_", body(16, "a1b2c3"), "_", body(43)),
  token("anthropic", "sk-ant-", "api03-", body(93), "AA"),
  token("aws", "AKIA", "QWERTYUIOP234567"),
  token("aws", "ASIA", "QWERTYUIOP234567"),
  inside("aws", "AWS_SECRET_ACCESS_KEY=", body(40), ""),
  inside("aws", '"SecretAccessKey": "', `${body(30)}/+${body(8)}`, '", "x": 1'),
  inside("basicauth", "https://user-1:", "s3cr3t-pw", "@git.example.com/path"),
  inside("basicauth", "ftp://backup:", body(16), "@files.example.org"),
  inside("basicauth", "https://john.doe:", "s3cret.Pw%40!3", "@gitlab.internal/x"),
  inside("basicauth", "redis://:", body(12), "@localhost:6379/0"),
  inside("basicauth", "postgresql+psycopg2://u:", body(12), "@h/db"),
  inside("basicauth", "HTTPS://john:", "s3cretPwF", "@[::1]:8080/"),
  token("cloudflare", "cfut_", body(40), "0123abcd"),
  inside("database-connection-string", "postgres://app:", "s3cr3t?pw", "@db.internal:5432/main"),
  inside("database-connection-string", "mongodb+srv://app:", "pässwörd-1", "@cluster.example/x?w=1"),
  inside("database-connection-string", "JDBC:MySQL://app:", body(20), "@10.0.0.7"),
  token("databricks", "dapi", body(32, HEX)),
  token("databricks", "dapi", body(32, HEX), "-2"),
  token("docker", "dckr_pat_", body(27)),
  token("figma", "figd_", body(40)),
  token("github", "ghp_", body(36)),
  token("github", "gho_", body(36)),
  token("github", "github_pat_", body(82)),
  token("github", "ghs_", "12345_", body(40), ".", body(300), ".", body(86)),
  token("gitlab", "glpat-", body(20)),
  token("grafana", "glc_", body(60), "=="),
  token("grafana", "glsa_", body(32), "_", "0123abcd"),
  token("groq", "gsk_", body(52)),
  token("hashicorp-vault", "hvs.", body(95)),
  token("hashicorp-vault", "hvb.", body(140)),
  token("huggingface", "hf_", body(34, LETTERS)),
  token("linear", "lin_api_", body(40)),
  token("notion", "ntn_", "12345678901", body(35)),
  token("npm", "npm_", body(36)),
  token("openai", "sk-proj-", body(74), "T3Blbk", "FJ", body(74)),
  token("openai", "sk-", body(20), "T3Blbk", "FJ", body(20)),
  pem("RSA ", "MII", 1_600, "\\\\n"),
  pem("ENCRYPTED ", "MII", 1_600),
  pem("", "MII", 1_600, "\\n'\n '"),
  pem("", "MII", 1_600, '", "'),
  pem("OPENSSH ", "b3B", 1_600, "\n> "),
  pem("EC ", "MII", 300, "<br>\n"),
  pem("", "MIIE", 1_600),
  pem("RSA ", "MIIE", 1_600, "\r\n"),
  pem("OPENSSH ", "b3BlbnNzaC1rZXktdjE", 400),
  pem("EC ", "MIGk", 200, "\\n"),
  token("sendgrid", "SG.", body(22), ".", body(43)),
  token("shopify", "shpat_", body(32)),
  token("slack", "xoxb-", "123456789012-", "123456789012-", body(24)),
  token("slack", "xapp-1-", "A0123456789-", "1234567890123-", body(64, HEX)),
  inside("slack", "https://hooks.slack.com/services/T0123456/B0123456/", body(24), ""),
  token("stripe", "sk_live_", body(24)),
  token("stripe", "rk_test_", body(99)),
  token("tailscale", "tskey-", "auth-", body(12), "-", body(32)),
  token("vercel", "vcp_", body(24)),
];

export function textOf({ before, secret, after }: Sample): string {
  return before + secret + after;
}
