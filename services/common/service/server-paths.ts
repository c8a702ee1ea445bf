// An absolute path that has a directory. A slash after :// or within a word belongs to a URL or a relative
// path.
const PATH = /(?<![\w:/.~-])\/(?:[^\s/:'"`,;()<>]+\/)+([^\s/:'"`,;()<>]*)/g;

/**
 * Reduces each absolute path in `text` to its last name, for texts that agents read, because agents must not
 * learn where files lie on this machine.
 */
export function withoutDirectories(text: string): string {
  return text.replaceAll(PATH, "$1");
}
