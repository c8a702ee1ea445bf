// This import must come first, because the certificate library finds its parts by decorators, which need
// reflect-metadata.
import "reflect-metadata";
import { randomBytes, webcrypto } from "node:crypto";
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";

/** A certificate authority, which issues the certificates of one deployment. */
export type CertificateAuthority = {
  /** The certificate of the authority itself, PEM. */
  readonly pem: string;
  readonly certificate: X509Certificate;
  readonly validTo: Date;
  readonly signingKey: webcrypto.CryptoKey;
};

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const AUTHORITY_DAYS = 5 * 365;
const DAY_MS = 86_400_000;
// Each new certificate is valid from five minutes before it was made, because a machine whose clock is a
// little behind would otherwise refuse the certificate as not valid yet.
const BACKDATED_MS = 5 * 60_000;

export async function makeAuthority(
  now: Date,
): Promise<{ readonly authority: CertificateAuthority; readonly key: string }> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const validTo = new Date(now.getTime() + AUTHORITY_DAYS * DAY_MS);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    // The name has a random part, because two authorities of one name could be told apart only by their keys.
    name: `CN=Airlock ${now.toISOString().slice(0, 10)} ${randomBytes(4).toString("hex")}`,
    notBefore: new Date(now.getTime() - BACKDATED_MS),
    notAfter: validTo,
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  const authority = { pem: pemOf(certificate), certificate, validTo, signingKey: keys.privateKey };
  return { authority, key: await privatePem(keys.privateKey) };
}

export async function readAuthority(pem: string, keyPem: string): Promise<CertificateAuthority> {
  const certificate = new X509Certificate(pem);
  const der = PemConverter.decodeFirst(keyPem);
  const signingKey = await webcrypto.subtle.importKey("pkcs8", der, ALGORITHM, false, ["sign"]);
  return { pem: pemOf(certificate), certificate, validTo: certificate.notAfter, signingKey };
}

/**
 * Issues a certificate and its private key, both PEM. With host names in `hosts` the certificate is for a
 * service, which serves and calls; with an empty list it is for a client, which only calls.
 */
export async function issue(
  authority: CertificateAuthority,
  subject: {
    readonly uri: string;
    readonly hosts: readonly string[];
    readonly now: Date;
    readonly validTo: Date;
  },
): Promise<{ readonly certificate: string; readonly key: string }> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const certificate = await X509CertificateGenerator.create({
    subject: `CN=${subject.uri.split("/").slice(3).join(" ")}`,
    issuer: authority.certificate.subject,
    notBefore: new Date(subject.now.getTime() - BACKDATED_MS),
    notAfter: subject.validTo,
    signingAlgorithm: ALGORITHM,
    publicKey: keys.publicKey,
    signingKey: authority.signingKey,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([
        ExtendedKeyUsage.clientAuth,
        ...(subject.hosts.length > 0 ? [ExtendedKeyUsage.serverAuth] : []),
      ]),
      new SubjectAlternativeNameExtension([
        { type: "url", value: subject.uri },
        ...subject.hosts.map((value) => ({ type: "dns" as const, value })),
      ]),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
      await AuthorityKeyIdentifierExtension.create(authority.certificate.publicKey),
    ],
  });
  return { certificate: pemOf(certificate), key: await privatePem(keys.privateKey) };
}

function pemOf(certificate: X509Certificate): string {
  return `${certificate.toString("pem").trim()}\n`;
}

async function privatePem(key: webcrypto.CryptoKey): Promise<string> {
  const der = await webcrypto.subtle.exportKey("pkcs8", key);
  return `${PemConverter.encode(der, "PRIVATE KEY").trim()}\n`;
}
