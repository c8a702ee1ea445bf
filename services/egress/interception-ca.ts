import { randomBytes, webcrypto, X509Certificate } from "node:crypto";
import { link, mkdir, readFile, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createSecureContext, type SecureContext } from "node:tls";
import type { Clock } from "#common/resilience/clock.ts";

/**
 * The certificate authority by which the proxy acts towards scripts as a host that gets a brokered secret, so
 * that the proxy can insert the secret into requests. Only the sandboxes of this deployment trust this
 * authority.
 */
export type CertificateAuthority = {
  /** The authority's certificate, in PEM. */
  readonly certificatePem: string;
  /**
   * The TLS certificate and key with which the proxy acts as `host`. Made when the host is first needed, and
   * again after 12 hours.
   */
  contextFor(host: string): Promise<SecureContext>;
};

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const DAY_MS = 24 * 3_600_000;
const AUTHORITY_DAYS = 3_650;
const LEAF_MS = DAY_MS;
const RENEW_BEFORE_MS = DAY_MS / 2;
const CLOCK_SKEW_MS = 3_600_000;
/**
 * The most hosts whose certificates are kept; one more makes the proxy forget all of them and issue new ones.
 */
const MAX_LEAVES = 1_000;

/**
 * Reads the certificate authority from this data directory. When the directory has none, a new authority is
 * made, in a file that only its owner can read. Rejects when the file is damaged.
 */
export async function openAuthority(directory: string, clock: Clock): Promise<CertificateAuthority> {
  const pem = (await read(directory)) ?? (await create(directory, clock));
  // The X.509 library is imported only now, because it loads slowly, and few deployments have brokered
  // secrets when they start.
  const x509 = await import("./x509.ts");
  const certificate = new x509.X509Certificate(pem.certificate);
  const keyBytes = x509.PemConverter.decodeFirst(pem.key);
  const signingKey = await webcrypto.subtle.importKey("pkcs8", keyBytes, ALGORITHM, false, ["sign"]);
  const leaves = new Map<string, { readonly context: Promise<SecureContext>; readonly renewMs: number }>();

  const issue = async (host: string): Promise<SecureContext> => {
    const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
    const nowMs = clock.now();
    const leaf = await x509.X509CertificateGenerator.create({
      serialNumber: serialNumber(),
      // The host is not in the common name, which has at most 64 characters. TLS clients look at the
      // alternative name.
      subject: "CN=Airlock egress",
      issuer: certificate.subject,
      notBefore: new Date(nowMs - CLOCK_SKEW_MS),
      notAfter: new Date(nowMs + LEAF_MS),
      signingAlgorithm: ALGORITHM,
      publicKey: keys.publicKey,
      signingKey,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
        new x509.SubjectAlternativeNameExtension([{ type: "dns", value: host }]),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
        await x509.AuthorityKeyIdentifierExtension.create(certificate.publicKey),
      ],
    });
    const key = await webcrypto.subtle.exportKey("pkcs8", keys.privateKey);
    return createSecureContext({
      cert: leaf.toString("pem"),
      key: x509.PemConverter.encode(key, "PRIVATE KEY"),
      minVersion: "TLSv1.2",
    });
  };

  return {
    certificatePem: pem.certificate,
    contextFor(host) {
      const known = leaves.get(host);
      if (known && known.renewMs > clock.now()) return known.context;
      if (leaves.size >= MAX_LEAVES) leaves.clear();
      const context = issue(host);
      leaves.set(host, { context, renewMs: clock.now() + LEAF_MS - RENEW_BEFORE_MS });
      context.catch(() => leaves.delete(host));
      return context;
    },
  };
}

type Pem = { readonly certificate: string; readonly key: string };

function fileIn(directory: string): string {
  return join(directory, "egress-authority.pem");
}

async function read(directory: string): Promise<Pem | undefined> {
  const text = await readFile(fileIn(directory), "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  const [key, certificate] = text.match(/-----BEGIN ([A-Z ]+)-----[^-]+-----END \1-----/g) ?? [];
  if (!key || !certificate)
    throw new Error("egress-authority.pem is damaged; remove it to have a new one made");
  return { key, certificate: `${new X509Certificate(certificate).toString().trim()}\n` };
}

async function create(directory: string, clock: Clock): Promise<Pem> {
  const x509 = await import("./x509.ts");
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: `CN=Airlock egress authority ${randomBytes(4).toString("hex")}`,
    notBefore: new Date(clock.now() - CLOCK_SKEW_MS),
    notAfter: new Date(clock.now() + AUTHORITY_DAYS * DAY_MS),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  const key = x509.PemConverter.encode(
    await webcrypto.subtle.exportKey("pkcs8", keys.privateKey),
    "PRIVATE KEY",
  );
  await mkdir(directory, { recursive: true, mode: 0o700 });
  // The file is written under another name and then linked, so that another replica of the egress service
  // never reads a half-written file.
  const draft = `${fileIn(directory)}.${randomBytes(6).toString("hex")}`;
  await writeFile(draft, `${key}\n${certificate.toString("pem")}\n`, { mode: 0o600, flag: "wx" });
  try {
    await link(draft, fileIn(directory));
  } catch (error) {
    // Another replica of the egress service has written the file first, so all replicas use that replica's
    // authority.
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  } finally {
    await unlink(draft);
  }
  const stored = await read(directory);
  if (!stored) throw new Error("the egress authority was not stored");
  return stored;
}

function serialNumber(): string {
  // A serial number must be positive and have no leading zero byte (X.509).
  return `4${randomBytes(16).toString("hex").slice(1)}`;
}
